"""Many requests, one commit; what is acknowledged is there, and what is not says why."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event
from tests.serve.state.answers import declare, keep
from tests.serve.state.faults import Proxy

from underlay.core import UsageError
from underlay.serve.refusals import Refusal
from underlay.serve.state import Entry, Store, StoreFailed, place_of, verify_state, writer
from underlay.serve.state.tables import AUDIT, PREDICTIONS
from underlay.serve.state.writer import GROUP, WAITING


def note(transaction):
    return transaction.append(Entry("server", "note"))


def test_what_waits_together_is_committed_together_and_each_gets_its_own_result(state):
    with Store(state.place, serves=True) as store:
        commits = []
        event.listen(store._engine, "commit", lambda connection: commits.append(1))
        held, going = threading.Event(), threading.Event()

        def hold(transaction):
            going.set()
            held.wait(20)
            return transaction.append(Entry("server", "held"))

        first = store.submit(hold)
        assert going.wait(20)
        rest = [store.submit(note) for _ in range(GROUP + 10)]
        held.set()
        assert first.result() == 1
        assert [one.result() for one in rest] == list(range(2, GROUP + 12))
        assert len(commits) == 3
    assert verify_state(state.place).entries == GROUP + 11


def test_a_piece_that_refuses_leaves_nothing_and_the_others_are_kept(state):
    def refuse(transaction):
        raise Refusal("wrong_label")

    with Store(state.place, serves=True) as store:
        done = [store.submit(work) for work in (note, refuse, note)]
        assert [done[0].result(), done[2].result()] == [1, 2]
        with pytest.raises(Refusal, match="wrong_label"):
            done[1].result()


def test_a_piece_that_breaks_is_told_so_alone(state):
    def broken(transaction):
        transaction.add(PREDICTIONS, id="x")  # what the table needs is missing

    def bug(transaction):
        raise ZeroDivisionError

    with Store(state.place, serves=True) as store:
        held = threading.Event()
        store.submit(lambda transaction: held.wait(20))
        done = [store.submit(work) for work in (note, broken, note, bug, note)]
        held.set()
        assert [done[0].result(), done[2].result(), done[4].result()] == [1, 2, 3]
        for place in (1, 3):
            with pytest.raises(Refusal, match="bug"):
                done[place].result()
    assert verify_state(state.place).entries == 3


def test_what_nobody_waits_for_any_more_is_not_written(sqlite_state):
    with Store(sqlite_state.place, serves=True) as store:
        held = threading.Event()
        store.submit(lambda transaction: held.wait(20))
        gone, stays = store.submit(note), store.submit(note)
        assert gone.cancel()
        held.set()
        assert stays.result() == 1


def test_the_queue_is_bounded(sqlite_state):
    with Store(sqlite_state.place, serves=True) as store:
        held, going = threading.Event(), threading.Event()
        store.submit(lambda transaction: (going.set(), held.wait(20)))
        assert going.wait(20)
        done = [store.submit(note) for _ in range(WAITING)]
        with pytest.raises(Refusal, match="overloaded"):
            store.submit(note)
        held.set()
        assert done[-1].result() == WAITING
    with pytest.raises(Refusal, match="draining"):
        store.submit(note)


@pytest.mark.row("F23")
def test_a_database_that_another_holds_is_busy_within_seconds_and_works_again(sqlite_state):
    import sqlite3

    with Store(sqlite_state.place, serves=True) as store:
        keep_out = sqlite3.connect(sqlite_state.place.file, isolation_level=None)
        keep_out.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(StoreFailed) as found:
            store.write(note)
        assert (found.value.code, found.value.exit_code) == ("database_busy", 6)
        assert time.monotonic() - started < 6
        assert store.writer.failing is not None
        keep_out.execute("ROLLBACK")
        keep_out.close()
        deadline = time.monotonic() + 20
        while store.writer.failing is not None:  # without anybody asking
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert store.write(note) >= 2


@pytest.mark.row("F27")
def test_a_second_server_on_one_folder_is_refused_and_commands_are_not(sqlite_state):
    with Store(sqlite_state.place, serves=True) as store:
        with pytest.raises(UsageError) as found:
            Store(sqlite_state.place, serves=True)
        assert (found.value.code, found.value.exit_code) == ("state_locked", 2)
        with Store(sqlite_state.place) as beside:
            beside.write(note)
        assert store.write(note) == 2
    Store(sqlite_state.place, serves=True).close()


def test_a_folder_without_a_state_is_none_to_read(tmp_path, underlay):
    place = place_of(str(tmp_path / "nothing"))
    for attempt in (lambda: Store(place), lambda: verify_state(place)):
        with pytest.raises(UsageError, match="there is no state in"):
            attempt()
    found = underlay("state", "purge", str(tmp_path / "nothing"))
    assert (found.returncode, found.stderr.split(":")[1]) == (2, " no_state"), found.stderr
    assert not (tmp_path / "nothing").exists()


@pytest.mark.row("F48")
def test_a_state_of_a_later_release_is_refused_and_left_as_it_is(state):
    with Store(state.place, serves=True) as store:
        declare(store)
        keep(store, "a row")
    state.change("UPDATE underlay_version SET version_num = 'r9999'")
    for attempt in (
        lambda: Store(state.place, serves=True),
        lambda: Store(state.place),
        lambda: verify_state(state.place),
    ):
        with pytest.raises(UsageError) as found:
            attempt()
        assert (found.value.code, found.value.exit_code) == ("state_newer", 2)
    assert [row.version_num for row in state.rows("SELECT version_num FROM underlay_version")] == ["r9999"]


def test_the_tables_that_the_steps_make_are_those_of_the_code(state):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import create_engine

    from underlay.serve.state.tables import METADATA, VERSIONS

    Store(state.place, serves=True).close()
    engine = create_engine(state.place.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSIONS, "compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_the_files_of_a_state_are_its_owners_alone(sqlite_state):
    import os

    before = os.umask(0)
    try:
        with Store(sqlite_state.place, serves=True) as store:
            store.write(note)
            modes = {path.name: path.stat().st_mode & 0o777 for path in sqlite_state.place.folder.iterdir()}
    finally:
        os.umask(before)
    assert {"state.sqlite", "state.sqlite-wal", "state.sqlite-shm", "audit.key", "checkpoints.jsonl"} <= modes.keys()
    assert set(modes.values()) - {0o600} == {0o644} or set(modes.values()) == {0o600}
    assert [name for name, mode in modes.items() if mode != 0o600] == []
    assert sqlite_state.place.folder.stat().st_mode & 0o777 == 0o700


def test_commits_are_synced_in_full(sqlite_state):
    with Store(sqlite_state.place, serves=True) as store, store.reading() as connection:
        said = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")]
    assert said == [2, "wal"]


@pytest.mark.row("F26")
def test_writers_beside_each_other_disturb_nobody(postgresql_state):
    stores = [Store(postgresql_state.place, serves=True) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: stores[number % 2].write(note), range(100)))
    for store in stores:
        store.close()
    assert verify_state(postgresql_state.place).entries == 100


def test_what_was_to_be_stored_is_in_no_error_and_no_line_of_the_log(state, caplog):
    def broken(transaction):
        transaction.add(AUDIT, seq=1, entry="secret", hash=None)

    with Store(state.place, serves=True) as store, pytest.raises(Refusal, match=r"^bug$") as found:
        store.write(broken)
    assert caplog.records
    logged = [str(vars(record)) for record in caplog.records if record.name == "underlay.serve"]
    assert "IntegrityError" in "".join(logged)
    assert "secret" not in "".join(logged) + repr(found.value)


@pytest.mark.row("F24")
def test_a_commit_whose_answer_was_lost_is_found_and_not_done_again(postgresql, tmp_path):
    name, proxy = postgresql.database(), Proxy(postgresql.port)
    try:
        with Store(place_of(postgresql.url(name, proxy.port), tmp_path / "audit"), serves=True) as store:
            declare(store)
            told = keep(store, "before")
            for number in range(3):
                cut = []
                proxy.cut = lambda data, cut=cut: b"COMMIT" in data and not cut and not cut.append(1)
                told += keep(store, f"row {number}")
                assert cut
    finally:
        proxy.close()
    place = place_of(postgresql.url(name), tmp_path / "audit")
    with Store(place) as store, store.reading() as connection:
        kept = [row.id for row in connection.execute(PREDICTIONS.select().order_by(PREDICTIONS.c.seq))]
    assert kept == told
    assert verify_state(place).entries == 4


def test_chores_are_done_though_requests_never_pause(state, monkeypatch):
    monkeypatch.setattr(writer, "BUSY_SECONDS", 0.2)
    done = []
    with Store(state.place, serves=True, chores=done.append) as store:
        until = time.monotonic() + 30
        while not done and time.monotonic() < until:
            for one in [store.submit(note) for _ in range(8)]:
                one.result()
        assert done
        assert done[0] is store
