"""Whatever happens to process, disk or database: what was acknowledged is there once, and the rest is refused."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest
from tests.serve.conftest import serving, wait_for
from tests.serve.state.answers import declare
from tests.serve.state.faults import Ledger, Proxy, ask

from underlay.core import UsageError
from underlay.serve.state import Store, place_of, verify_state

ROW = {"row": {"text": "quiet 1"}}


def check(ledger, state) -> None:
    """Everything that a client was told is there exactly once, and the chain is whole."""
    kept = [row.id for row in state.rows("SELECT id FROM predictions")]
    told = [identity for ids in ledger.told.values() for identity in ids]
    assert len(told) == len(set(told)) > 0
    assert set(told) <= set(kept)
    assert len(kept) == len(set(kept))
    verify_state(state.place)


@pytest.mark.parametrize(
    "kind", ["sqlite_state", pytest.param("postgresql_state", marks=pytest.mark.slow)], ids=["sqlite", "postgresql"]
)
@pytest.mark.row("F12", "F13")
def test_what_was_acknowledged_before_kill_9_is_there_once_and_the_rest_can_be_sent_again(
    request, kind, odd_bundle, tmp_path
):
    state = request.getfixturevalue(kind)
    scratch, later = tmp_path / "before", tmp_path / "after"
    scratch.mkdir()
    later.mkdir()
    with serving(odd_bundle, scratch, "--state", state.given, *state.options, odd=True) as server:
        ledger = Ledger(server)
        ledger.start()
        wait_for(lambda: len(ledger.told) > 80)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(20)
        ledger.stop()
    check(ledger, state)
    shutil.copy(server.keys, later / "keys.json")  # a name is a key's own
    with serving(odd_bundle, later, "--state", state.given, *state.options, odd=True) as server:
        headers = {"authorization": f"Bearer {ledger.server.key}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
            for name in [*ledger.broken, *list(ledger.told)[-20:]]:
                found = ask(client, name)
                assert found.status_code == 200, found.text
                ids = found.json()["prediction_ids"]
                assert ledger.told.setdefault(name, ids) == ids
        assert server.stop() == 0
    check(ledger, state)
    assert len(state.rows("SELECT id FROM predictions")) == len(ledger.told)


WRITES = """
import sys
from tests.serve.state.answers import declare, keep
from underlay.core import UsageError
from underlay.serve.state import Store, place_of
with Store(place_of(sys.argv[1]), serves=True) as store:
    declare(store)
    print("open", flush=True)
    for number in range(6):
        print(*keep(store, f"row {number}"), flush=True)
"""


@pytest.mark.slow
@pytest.mark.row("F13")
@pytest.mark.parametrize("begun", [False, True], ids=["new", "begun"])
def test_killed_at_any_sync_a_state_opens_and_has_what_was_acknowledged(begun, tmp_path, checkout):
    """Syncs are counted by thread: in a new state the main one has the most, in one that is begun the writer."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if begun:
        with Store(place_of(str(tmp_path / "0")), serves=True) as store:
            declare(store)
    told: list[str] = []
    killed = opened = 0
    for number in range(1, 60):
        folder = tmp_path / str(number)
        if begun:
            shutil.copytree(tmp_path / "0", folder)
        inject = ["-e", "trace=fsync,fdatasync", "-e", f"inject=fsync,fdatasync:signal=SIGKILL:when={number}"]
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", *inject, sys.executable, "-c", WRITES, str(folder)],
            capture_output=True, encoding="utf-8", cwd=checkout, timeout=120,
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )  # fmt: skip
        told = [word for word in done.stdout.split() if word != "open"]
        with Store(place_of(str(folder)), serves=True) as store, store.reading() as connection:
            kept = [row[0] for row in connection.exec_driver_sql("SELECT id FROM predictions")]
        assert set(told) <= set(kept)
        verify_state(place_of(str(folder)))
        opened += "open" in done.stdout
        if done.returncode == 0:
            break
        assert done.returncode in (-9, 137), done.stderr
        killed += 1
    assert killed >= 5
    assert len(told) == 6
    assert not begun or opened > 3


@pytest.mark.row("F06")
def test_a_file_that_may_not_grow_refuses_answers_until_it_may(odd_bundle, sqlite_state, tmp_path):
    with serving(odd_bundle, tmp_path, "--state", sqlite_state.given, odd=True) as server:
        ledger = Ledger(server)
        ledger.start(2)
        wait_for(lambda: len(ledger.told) > 10)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        wait_for(lambda: len(ledger.refused) > 5)
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 503
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        before = len(ledger.told)
        wait_for(lambda: len(ledger.told) > before + 10)
        wait_for(lambda: httpx.get(f"{server.url}/v2/health/ready").status_code == 200)
        ledger.stop()
        assert set(ledger.refused) <= {"disk_failed", "disk_full"}
        assert server.stop() == 0
    check(ledger, sqlite_state)
    events = [line["event"] for line in server.logged()]
    assert events.count("state_failing") == events.count("state_works") == 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.getuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("a disk of its own needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.row("F04")
def test_on_a_full_disk_nothing_is_answered_unkept_and_old_answers_can_be_removed(
    odd_bundle, small_disk, tmp_path, underlay
):
    from tests.serve.state.conftest import State

    given = str(small_disk / "state")
    state = State(given, place_of(given), ())
    with serving(odd_bundle, tmp_path, "--state", given, odd=True) as server:
        ledger = Ledger(server)
        ledger.start(2)
        wait_for(lambda: len(ledger.told) > 10)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        wait_for(lambda: len(ledger.refused) > 5)
        assert set(ledger.refused) <= {"disk_full", "disk_failed"}
        assert "disk_full" in ledger.refused
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 503
        assert not small_disk.joinpath("state", "ballast").stat().st_size < 1 << 20
        told = len(ledger.told)
        done = underlay("state", "purge", given, "--older-than", "0.0000001d")
        assert done.returncode == 0, done.stderr
        assert "removed" in done.stdout
        wait_for(lambda: len(ledger.told) > told + 10)  # what the ballast held is room for new answers
        filler.unlink()
        wait_for(lambda: httpx.get(f"{server.url}/v2/health/ready").status_code == 200)
        ledger.stop()
        assert server.stop() == 0
    kept = {row.id for row in state.rows("SELECT id FROM predictions")}
    told_ids = [ids[0] for ids in ledger.told.values()]
    assert set(told_ids[told + 5 :]) <= kept
    found = verify_state(state.place)
    assert found.rows + found.gone >= len(told_ids)


@pytest.mark.row("F05")
def test_a_folder_that_cannot_be_written_is_named_and_the_server_does_not_start(odd_bundle, small_disk, underlay):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    import tests.serve.conftest as serve

    done = subprocess.run(
        [sys.executable, str(serve.ODD), "serve", str(odd_bundle), "--open", "--port", "0", "--admin-port", "0",
         "--state", str(small_disk / "state")], capture_output=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert str(small_disk / "state") in done.stderr


@pytest.mark.slow
@pytest.mark.row("F27")
def test_a_second_server_on_the_same_file_ends_and_the_first_goes_on(odd_bundle, sqlite_state, tmp_path):
    import tests.serve.conftest as serve

    with serving(odd_bundle, tmp_path, "--state", sqlite_state.given, odd=True) as server:
        command = [sys.executable, str(serve.ODD), "serve", str(odd_bundle), "--open", "--port", "0", "--admin-port",
                   "0", "--state", sqlite_state.given]  # fmt: skip
        command += ["--aliases", str(tmp_path / "other.json")]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
        assert (done.returncode, done.stderr.split(":")[1]) == (2, " state_locked"), done.stderr
        assert server.post("/predict", ROW).status_code == 200


@pytest.mark.row("F23")
def test_while_another_holds_the_database_a_request_waits_no_longer_than_it_may(odd_bundle, sqlite_state, tmp_path):
    with serving(odd_bundle, tmp_path, "--state", sqlite_state.given, odd=True) as server:
        assert server.post("/predict", ROW).status_code == 200
        holder = sqlite3.connect(sqlite_state.place.file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        for headers, status, code, seconds in (
            ({"x-deadline-ms": "300"}, 504, "deadline_exceeded", 1.5),
            ({}, 503, "database_busy", 4),
        ):
            started = time.monotonic()
            found = server.post("/predict", ROW, **headers)
            assert (found.status_code, found.json()["error"]["code"]) == (status, code)
            assert time.monotonic() - started < seconds
        holder.execute("ROLLBACK")
        holder.close()
        wait_for(lambda: server.post("/predict", ROW).status_code == 200)
        assert server.stop() == 0
    verify_state(sqlite_state.place)


@pytest.mark.slow
@pytest.mark.row("F22", "F25")
def test_without_its_database_a_server_refuses_soon_and_recovers_by_itself(
    postgresql, postgresql_state, odd_bundle, tmp_path
):
    state = postgresql_state
    with serving(odd_bundle, tmp_path, "--state", state.given, *state.options, odd=True) as server:
        ledger = Ledger(server)
        ledger.start(2)
        wait_for(lambda: len(ledger.told) > 10)
        postgresql.stop()
        try:
            wait_for(lambda: len(ledger.refused) > 5)
            started = time.monotonic()
            found = server.post("/predict", ROW)
            assert (found.status_code, found.json()["error"]["code"]) == (503, "database_away")
            assert time.monotonic() - started < 4
            wait_for(lambda: httpx.get(f"{server.url}/v2/health/ready").status_code == 503)
        finally:
            postgresql.start()
        before = len(ledger.told)
        wait_for(lambda: len(ledger.told) > before + 10)
        wait_for(lambda: httpx.get(f"{server.url}/v2/health/ready").status_code == 200)
        ledger.stop()
        assert set(ledger.refused) <= {"database_away", "overloaded"}
        assert server.stop() == 0
    check(ledger, state)


@pytest.mark.slow
@pytest.mark.row("F24", "F23")
def test_a_line_that_breaks_or_falls_silent_during_a_commit_loses_and_doubles_nothing(postgresql, odd_bundle, tmp_path):
    from tests.serve.state.conftest import State

    name, proxy = postgresql.database(), Proxy(postgresql.port)
    options = ("--audit", str(tmp_path / "audit"))
    try:
        with serving(odd_bundle, tmp_path, "--state", postgresql.url(name, proxy.port), *options, odd=True) as server:
            ledger = Ledger(server)
            ledger.start(2)
            wait_for(lambda: len(ledger.told) > 10)
            for _ in range(5):
                cut = []
                # The answer to a commit never comes: whether it was one is for the server to find out.
                proxy.cut = lambda data, cut=cut: b"COMMIT" in data and not cut and not cut.append(1)
                before = len(ledger.told)
                wait_for(lambda before=before: len(ledger.told) > before + 5)
                assert cut
            proxy.cut = lambda data: False
            proxy.silent.set()
            wait_for(lambda: len(ledger.refused) > 2)
            started = time.monotonic()
            assert server.post("/predict", ROW).status_code == 503
            assert time.monotonic() - started < 4
            time.sleep(5)
            proxy.silent.clear()
            before = len(ledger.told)
            wait_for(lambda: len(ledger.told) > before + 10)
            ledger.stop()
            assert server.stop() == 0
    finally:
        proxy.close()
    state = State("", place_of(postgresql.url(name), tmp_path / "audit"), options)
    check(ledger, state)
    names = state.rows("SELECT count(*) AS n FROM idempotency")[0].n
    asked = len(state.rows("SELECT id FROM predictions"))
    assert asked - 1 <= names <= asked  # one request had no name


@pytest.mark.slow
@pytest.mark.row("F25")
def test_a_database_that_may_only_be_read_refuses_answers(postgresql, postgresql_state, odd_bundle, tmp_path):
    state = postgresql_state
    name = state.place.url.database
    with serving(odd_bundle, tmp_path, "--state", state.given, *state.options, odd=True) as server:
        assert server.post("/predict", ROW).status_code == 200
        postgresql.admin(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        postgresql.admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        found = server.post("/predict", ROW)
        assert (found.status_code, found.json()["error"]["code"]) == (503, "database_away")
        postgresql.admin(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
        postgresql.admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        wait_for(lambda: server.post("/predict", ROW).status_code == 200)
        assert server.stop() == 0
    verify_state(state.place)


@pytest.mark.slow
@pytest.mark.row("F22")
def test_a_server_waits_half_a_minute_for_its_database_and_then_ends(odd_bundle, tmp_path):
    import tests.serve.conftest as serve

    url = f"postgresql+psycopg://underlay@127.0.0.1:{serve.free_port()}/nothing"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(serve.ODD), "serve", str(odd_bundle), "--open", "--port", "0", "--admin-port", "0",
         "--state", url, "--audit", str(tmp_path / "audit")], capture_output=True, encoding="utf-8", timeout=90,
    )  # fmt: skip
    assert time.monotonic() - started > 25
    assert done.returncode == 6, done.stderr
    assert "underlay: database_away: " in done.stderr


@pytest.mark.parametrize("given", ["mysql://x/y", "postgresql+psycopg://h/d", "sqlite:///x"])
def test_an_address_of_a_database_that_makes_no_sense_is_refused(given):
    with pytest.raises(UsageError, match=r"--state names|have no folder"):
        place_of(given)
