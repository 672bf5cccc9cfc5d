"""One value has one form, and no entry of the chain changes, goes or moves unseen."""

import json
import math
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serve.state.answers import answered, declare, keep
from tests.serve.state.conftest import State

from underlay.core import UsageError
from underlay.serve.state import AuditBroken, Entry, Store, erase, place_of, purge, verify_state
from underlay.serve.state.canonical import canonical
from underlay.serve.state.checkpoints import ENTRIES, FILE
from underlay.serve.state.signing import PRIVATE, PUBLIC
from underlay.serve.state.writer import GROUP, WAITING


@pytest.mark.parametrize(
    ("bits", "text"),
    [("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"),
     ("7fefffffffffffff", "1.7976931348623157e+308"), ("4340000000000000", "9007199254740992"),
     ("4430000000000000", "295147905179352830000"), ("44b52d02c7e14af5", "9.999999999999997e+22"),
     ("44b52d02c7e14af6", "1e+23"), ("444b1ae4d6e2ef4e", "999999999999999700000"), ("444b1ae4d6e2ef50", "1e+21"),
     ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"), ("3eb0c6f7a0b5ed8d", "0.000001"),
     ("41b3de4355555553", "333333333.3333332"), ("becbf647612f3696", "-0.0000033333333333333333")],
)  # fmt: skip
def test_numbers_have_the_form_of_rfc_8785_appendix_b(bits, text):
    assert canonical(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


def test_keys_are_in_the_order_of_utf_16_and_nothing_is_escaped_that_need_not_be():
    assert canonical({"\ufb33": 1, "\U0001f600": 2, "€": 3, "\r": 4}) == '{"\\r":4,"€":3,"\U0001f600":2,"\ufb33":1}'
    for wrong in (math.nan, math.inf, 2**53, object()):
        with pytest.raises(ValueError, match=r"number|JSON"):
            canonical(wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_the_form_says_the_value_and_is_its_own(value):
    text = canonical(value)
    read = json.loads(text, parse_int=float)  # as every reader of JSON that has one kind of number
    assert read == value
    assert canonical(read) == text


def filled(place) -> list[str]:
    """A state of a few entries; the ids of its answers."""
    with Store(place, serves=True) as store:
        declare(store)
        return [identity for number in range(8) for identity in keep(store, f"row {number}", "another")]


@pytest.mark.row("F30")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["UPDATE audit SET entry = replace(entry, 'calm', 'loud') WHERE seq = 4"], "entry 4 of the chain is not what"),
        (["UPDATE audit SET hash = 'ab' || substr(hash, 3) WHERE seq = 5"], "entry 5 of the chain is not what"),
        (["DELETE FROM audit WHERE seq = 3"], "entry 3 of the chain is missing"),
        (["DELETE FROM audit WHERE seq = 1"], "entry 1 of the chain is missing"),
        (
            ["UPDATE audit SET seq = 100 WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 6",
             "UPDATE audit SET seq = 6 WHERE seq = 100"],
            "entry 2 of the chain is not what",
        ),
        (["INSERT INTO audit SELECT seq + 1, entry, hash FROM audit WHERE seq = 8"], "entry 9 of the chain is not"),
        (["UPDATE predictions SET output = replace(output, 'calm', 'loud') WHERE seq = 7"], "not what entry 7 says"),
        (["UPDATE predictions SET input = NULL WHERE seq = 2 AND place = 1"], "not what entry 2 says"),
        (["DELETE FROM predictions WHERE seq = 6 AND place = 0"], "row 0 of entry 6 is missing"),
        (
            ["UPDATE predictions SET place = 5 WHERE seq = 6 AND place = 0",
             "UPDATE predictions SET place = 0 WHERE seq = 6 AND place = 1",
             "UPDATE predictions SET place = 1 WHERE seq = 6 AND place = 5"],
            "not what entry 6 says",
        ),
        (["UPDATE predictions SET place = 2 WHERE seq = 8 AND place = 1"], "row 1 of entry 8 is missing"),
    ],
)  # fmt: skip
def test_a_row_that_is_changed_removed_moved_or_added_is_named(sqlite_state, change, said):
    filled(sqlite_state.place)
    sqlite_state.change(*change)
    with pytest.raises(AuditBroken, match=said):
        verify_state(sqlite_state.place)


@pytest.mark.row("F30")
def test_in_postgresql_too_the_first_broken_row_is_named(postgresql_state):
    filled(postgresql_state.place)
    assert verify_state(postgresql_state.place).rows == 16
    for change, said in (
        ("UPDATE predictions SET confidence = 0.5 WHERE seq = 8 AND place = 1", "not what entry 8 says"),
        ("DELETE FROM predictions WHERE seq = 7 AND place = 1", "row 1 of entry 7 is missing"),
        ("UPDATE audit SET entry = replace(entry, 'calm', 'loud') WHERE seq = 6", "entry 6 of the chain is not what"),
        ("UPDATE audit SET seq = 50 - seq WHERE seq IN (4, 46)", "entry 4 of the chain is missing; the next is 5"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 of the chain is missing; the next is 3"),
    ):
        postgresql_state.change(change)
        with pytest.raises(AuditBroken, match=said):
            verify_state(postgresql_state.place)


@pytest.mark.row("F31")
def test_a_tail_that_is_cut_is_missed_by_the_checkpoint_even_with_its_rows(state):
    filled(state.place)
    state.change("DELETE FROM audit WHERE seq > 6")
    with pytest.raises(AuditBroken, match=r"ends with entry 6; the checkpoint of .* has 8: 2 are cut off from entry 7"):
        verify_state(state.place)
    state.change("DELETE FROM predictions WHERE seq > 6")
    with pytest.raises(AuditBroken, match="2 are cut off from entry 7"):
        verify_state(state.place)
    (state.place.audit / FILE).unlink()  # whoever can remove the checkpoints too leaves no trace: keep them elsewhere
    assert verify_state(state.place).checkpoints == 0


def test_a_tail_that_is_cut_without_its_rows_is_missed_without_a_checkpoint_too(state):
    filled(state.place)
    (state.place.audit / FILE).unlink()
    state.change("DELETE FROM audit WHERE seq > 6")
    with pytest.raises(AuditBroken, match="cut off from entry 7"):
        verify_state(state.place)


@pytest.mark.row("F32")
def test_a_chain_that_is_made_anew_does_not_meet_the_checkpoints(state, tmp_path):
    filled(state.place)
    forged = place_of(str(tmp_path / "forged"))
    filled(forged)
    entries = [tuple(row) for row in State("", forged, ()).rows("SELECT seq, entry, hash FROM audit")]
    state.change("DELETE FROM audit", "DELETE FROM predictions")
    with Store(state.place, serves=True):  # only to have a connection of the right kind
        pass
    state.change("DELETE FROM audit")
    for seq, entry, digest in entries:
        quoted = entry.replace("'", "''").replace(":", r"\:")
        state.change(f"INSERT INTO audit VALUES ({seq}, '{quoted}', '{digest}')")
    with pytest.raises(AuditBroken, match="made anew at or before entry"):
        verify_state(state.place)


@pytest.mark.row("F32")
def test_checkpoints_of_another_key_are_refused(sqlite_state, tmp_path):
    filled(sqlite_state.place)
    kept = tmp_path / "audit.pub"
    kept.write_bytes((sqlite_state.place.audit / PUBLIC).read_bytes())
    for name in (PRIVATE, PUBLIC, FILE):
        (sqlite_state.place.audit / name).unlink()
    filled(sqlite_state.place)  # signs with a new key
    assert verify_state(sqlite_state.place).checkpoints > 0
    with pytest.raises(AuditBroken, match=r"checkpoints.jsonl:1 was not signed by this key"):
        verify_state(sqlite_state.place, key=kept)


def test_a_checkpoint_that_is_changed_is_refused_and_a_half_written_one_is_none(sqlite_state):
    filled(sqlite_state.place)
    path = sqlite_state.place.audit / FILE
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert verify_state(sqlite_state.place).checkpoints == whole.count(b"\n")
    with Store(sqlite_state.place, serves=True) as store:
        keep(store, "one more")
    assert verify_state(sqlite_state.place).covered == 9  # the half line is gone, and the new one is whole
    path.write_bytes(path.read_bytes().replace(b'"count":', b'"count":1'))
    with pytest.raises(AuditBroken, match="not signed"):
        verify_state(sqlite_state.place)


def test_the_key_is_its_owners_alone_and_openssl_reads_it(sqlite_state):
    filled(sqlite_state.place)
    path = sqlite_state.place.audit / PRIVATE
    assert path.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(["openssl", "pkey", "-in", str(path), "-pubout"], capture_output=True, check=True)
    assert shown.stdout == (sqlite_state.place.audit / PUBLIC).read_bytes()
    path.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        filled(sqlite_state.place)


def test_there_is_a_checkpoint_at_the_start_every_thousand_entries_and_at_the_end(sqlite_state):
    assert 2 * ENTRIES < WAITING
    with Store(sqlite_state.place, serves=True) as store:
        done = [store.submit(lambda one: one.append(Entry("server", "note"))) for _ in range(2 * ENTRIES)]
        for one in done:
            one.result()
    seqs = [json.loads(line)["seq"] for line in (sqlite_state.place.audit / FILE).read_text().splitlines()]
    assert len(seqs) == 3
    assert seqs[0] <= GROUP
    assert ENTRIES <= seqs[1] - seqs[0] < ENTRIES + GROUP
    assert seqs[2] == 2 * ENTRIES


@pytest.mark.row("F33")
def test_two_writers_of_one_chain_make_no_fork(state):
    from concurrent.futures import ThreadPoolExecutor

    with Store(state.place, serves=True) as first:
        second = Store(state.place)
        try:
            declare(first)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda number: keep((first, second)[number % 2], f"row {number}"), range(60)))
        finally:
            second.close()
    assert verify_state(state.place).entries == 60


def test_erased_and_purged_rows_are_gone_as_the_chain_says(state):
    ids = filled(state.place)
    with Store(state.place) as store:
        assert erase(store, ids[0], actor="command").predictions == 1
        assert erase(store, ids[4].rpartition("-")[0], actor="command").predictions == 2
        assert erase(store, ids[0], actor="command").predictions == 0
    found = verify_state(state.place)
    assert (found.rows, found.gone) == (13, 3)
    with Store(state.place) as store:
        assert purge(store, days=1, actor="command").predictions == 0
        assert purge(store, days=1e-9, actor="command").predictions == 13
        fresh = keep(store, "after")
    found = verify_state(state.place)
    assert (found.rows, found.gone) == (1, 16)
    state.change(f"DELETE FROM predictions WHERE id = '{fresh[0]}'")  # what is younger than the purge has no excuse
    with pytest.raises(AuditBroken, match="row 0 of entry"):
        verify_state(state.place)


def test_what_is_erased_is_in_no_file_any_more(sqlite_state):
    with Store(sqlite_state.place, serves=True) as store:
        declare(store)
        (identity,) = keep(store, "an unforgettable sentence")
        for number in range(50):
            keep(store, f"row {number}")

        def places() -> list[str]:
            return [path.name for path in sqlite_state.place.folder.iterdir() if b"unforgettable" in path.read_bytes()]

        assert places()
        erase(store, identity, actor="command")
        assert places() == []


@pytest.mark.parametrize("wrong", ["", "x", "a" * 32 + "-", "A" * 32, "a" * 31, "%", "a" * 32 + "-1 OR 1=1"])
def test_only_an_id_is_erased(sqlite_state, wrong):
    with Store(sqlite_state.place, serves=True) as store, pytest.raises(UsageError, match="no id of a prediction"):
        erase(store, wrong, actor="command")


def test_the_command_says_the_first_broken_entry_and_exits_4(postgresql_state, underlay):
    state = postgresql_state
    filled(state.place)
    state.change("DELETE FROM audit WHERE seq = 3")
    bad = underlay("verify", state.given, *state.options)
    assert (bad.returncode, bad.stdout) == (4, "")
    assert bad.stderr.startswith("underlay: audit_broken: entry 3 of the chain is missing")


def test_an_answer_without_its_salt_cannot_be_guessed_from_the_chain(sqlite_state):
    """Two answers to one input have nothing in common there."""
    one, two = (answered([{"text": "same", "size": 1}], inputs=False).inputs[0] for _ in range(2))
    assert one.hmac != two.hmac
    assert one.text is None
