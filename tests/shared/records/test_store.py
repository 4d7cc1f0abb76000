"""What calls have written is in the store, all of it and once, whichever database that is."""

from __future__ import annotations

import fcntl
import math
import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from shared.errors import ConfigError, StackError
from shared.records import models
from shared.records.database import reason
from shared.records.ingest import KEEP_S, Ingester
from shared.records.spool import Spool, read_call
from shared.records.store import Store
from tests.postgres import Postgres


def ingest(folder: Path, store: Store) -> int:
    with Ingester.alone(folder, store) as ingester:
        assert ingester is not None
        return ingester.ingest()


def test_the_store_has_what_the_files_have(tmp_path: Path, store: Store) -> None:
    """Every event of every writer, with its data, in the order of time."""
    host, job = (Spool.open(tmp_path, call_id="c") for _ in range(2))
    host.append("offered", agent="intake", dispatch_id="AD_1", room="r", metadata={"a": [1, None]})
    job.append("joined", agent="intake")
    job.append("turn", role="caller", text="Größe ☎")
    host.close()

    assert ingest(tmp_path, store) == 3
    assert store.events("c") == read_call(tmp_path, "c")
    assert store.dispatches("c") == ["AD_1"]


def test_what_was_added_later_follows_and_nothing_is_there_twice(
    tmp_path: Path, store: Store
) -> None:
    """A file goes on where it was left; one that is read from its beginning again adds nothing."""
    spool = Spool.open(tmp_path, call_id="c")
    spool.append("joined")
    assert ingest(tmp_path, store) == 1
    assert ingest(tmp_path, store) == 0
    spool.append("turn", text="hello")
    assert ingest(tmp_path, store) == 1
    store.forget([spool.path.name])
    ingest(tmp_path, store)

    assert [event.event for event in store.events("c")] == ["joined", "turn"]
    spool.close()


def test_half_a_line_waits_for_its_other_half(tmp_path: Path, store: Store) -> None:
    """What a process is about to write is read once it is whole; what a dead one left is never read."""
    spool = Spool.open(tmp_path, call_id="c")
    spool.append("joined")
    line = spool.path.read_bytes().replace(b'"seq":0', b'"seq":1')
    with spool.path.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert ingest(tmp_path, store) == 1
        file.write(line[20:])
        file.flush()
        assert ingest(tmp_path, store) == 1
        file.write(line[:20])
    spool.close()

    assert ingest(tmp_path, store) == 0
    assert [event.seq for event in store.events("c")] == [0, 1]


@pytest.mark.parametrize(
    "call_id", ["nul\0", "\ud800", "k" * 5000, "ключ", ""], ids=["nul", "half", "long", "utf", "no"]
)
def test_nothing_that_a_call_brings_stops_the_others(
    tmp_path: Path, store: Store, call_id: str
) -> None:
    """Text that a database refuses is stored as near as it can be, and found by the name it came with."""
    spool = Spool.open(tmp_path, call_id=call_id)
    spool.append("offered", agent=call_id, room=call_id, dispatch_id=call_id)
    spool.append("tool_result", result="\0\ud800", number=math.nan, big=10**30)
    spool.close()
    with spool.path.open("ab") as file:
        file.write(b"{}\n" + b"\xff\n")
    other = Spool.open(tmp_path, call_id="other")
    other.append("joined")
    other.close()

    assert ingest(tmp_path, store) == 3
    found = store.find(call_id)
    assert found is not None
    assert store.events(found.call_id)[1].data == {
        "result": "\0\ud800",
        "number": "NaN",
        "big": 10**30,
    }
    assert len(store.events("other")) == 1


def test_one_process_at_a_time_brings_a_folder_in(tmp_path: Path, store: Store) -> None:
    """A second one is told to wait; it takes over when the first was killed."""
    code = (
        "import sys, time; from pathlib import Path; from shared.records.ingest import Ingester\n"
        "from shared.records.store import Store\n"
        "with Ingester.alone(Path(sys.argv[1]), Store.open(sys.argv[2])) as ingester:\n"
        "    print(ingester is not None, flush=True); time.sleep(60)\n"
    )
    url = store.engine.url.render_as_string(hide_password=False)
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), url], stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    with first, first.stdout:
        assert first.stdout.readline() == b"True\n"
        with Ingester.alone(tmp_path, store) as second:
            assert second is None
        first.send_signal(signal.SIGKILL)
        first.wait()
    with Ingester.alone(tmp_path, store) as second:
        assert second is not None


def test_files_are_removed_an_hour_after_their_end(tmp_path: Path, store: Store) -> None:
    """The store keeps what they held. A file whose process is alive stays, however long it was silent."""
    ended, silent, new = (Spool.open(tmp_path, call_id=name) for name in ("ended", "silent", "new"))
    for spool in (ended, silent, new):
        spool.append("joined")
    long_ago = ended.path.stat().st_mtime - KEEP_S - 1
    ended.close()
    new.close()
    os.utime(ended.path, (long_ago, long_ago))
    os.utime(silent.path, (long_ago, long_ago))
    with Ingester.alone(tmp_path, store) as ingester:
        assert ingester is not None
        ingester.ingest()
        ingester.ingest()
        ingester.tidy()

    assert [spool.path.exists() for spool in (ended, silent, new)] == [False, True, True]
    assert store.events("ended")
    assert ended.path.name not in store.read_so_far()
    silent.close()


def test_files_that_appear_are_seen(tmp_path: Path, store: Store) -> None:
    """Each pass finds what was made since the last one, however soon after it."""
    with Ingester.alone(tmp_path, store) as ingester:
        assert ingester is not None
        for number in range(30):
            waiting = Spool.open(tmp_path, call_id=f"waiting{number}")
            assert ingester.ingest() == 0
            spool = Spool.open(tmp_path, call_id=f"c{number}")
            spool.append("joined")
            assert ingester.ingest() == 1
            waiting.close()
            spool.close()


def test_a_database_file_is_the_owners(tmp_path: Path) -> None:
    """It holds what was said: closed to others whatever the umask, what SQLite puts beside it too."""
    before = os.umask(0)
    try:
        store = Store.open(f"sqlite:///{tmp_path}/records/records.db")
        store.add([], {"a": 1})
    finally:
        os.umask(before)
    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "records").iterdir()
    }
    assert set(modes) == {"records.db", "records.db-wal", "records.db-shm"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "records").stat().st_mode) == 0o700
    store.close()


def test_migrations_make_the_tables_of_the_code(store: Store) -> None:
    """Tables and indexes in the database are those that queries are made for; the newest migration is known."""
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), models.metadata) == []
    config = Config()
    config.set_main_option("script_location", str(Path(models.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [models.REVISION]


def test_hosts_that_start_together_make_one_store(url: str) -> None:
    """Whoever comes second waits for the migration and finds it done."""
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(Store.open(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(opened) == 4
    assert all(store.newest(1) == [] for store in opened)
    for store in opened:
        store.close()


def test_a_host_waits_while_another_makes_the_store(tmp_path: Path) -> None:
    """One after the other: of those who do it at once SQLite fails one now and then."""
    turn = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)
    with ThreadPoolExecutor() as pool:
        opening = pool.submit(Store.open, f"sqlite:///{tmp_path}/records.db")
        early, _ = wait([opening], timeout=1)
        os.close(turn)
        opening.result(20).close()

    assert not early


def test_a_store_of_a_newer_switchboard_is_left_alone(store: Store) -> None:
    """It is refused in one line, not changed."""
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigError, match="newer Switchboard"):
        Store.open(store.engine.url.render_as_string(hide_password=False))


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "mysql://me:hunter2@127.0.0.1/records",
        "sqlite://",
        "postgresql://me:hunter2@127.0.0.1:1/records",
    ],
)
def test_a_url_that_does_not_work_is_said_without_it(url: str) -> None:
    """The error names the variable, in one line, and never the password."""
    with pytest.raises((ConfigError, StackError)) as failed:
        Store.open(url)

    assert "SWITCHBOARD_RECORDS_URL" in str(failed.value)
    assert "hunter2" not in str(failed.value)
    assert "\n" not in str(failed.value)


def test_what_is_said_of_an_error_holds_nothing_that_was_said(postgres: Postgres) -> None:
    """SQLAlchemy adds parameters to its errors and Postgres quotes values; the reason that goes into a log has neither."""
    store = Store.open(postgres.database())
    with pytest.raises(sa.exc.DBAPIError) as failed, store.writing() as connection:
        connection.execute(sa.text("SELECT CAST(:said AS integer)"), {"said": "Ada"})
    store.close()

    assert "Ada" in str(failed.value.orig)
    assert "parameters hidden" in str(failed.value)
    assert reason(failed.value) == "InvalidTextRepresentation"
