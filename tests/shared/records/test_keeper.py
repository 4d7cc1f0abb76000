"""Records reach the store whatever dies meanwhile, and a store that is away costs nobody anything."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from shared.config.environment import ROOT
from shared.host.keeping import keeping_records
from shared.records import keeper
from shared.records.hosts import HostState
from shared.records.keeper import keep
from shared.records.overview import look
from shared.records.reader import reads
from shared.records.spool import Spool
from shared.records.store import Store
from tests.postgres import Postgres

MOMENTS = 50

T = TypeVar("T")


@contextmanager
def kept(url: str, folder: Path, over: threading.Event | None = None) -> Iterator[None]:
    """A host's thread, until what was written has been brought in."""
    over = over or threading.Event()
    thread = threading.Thread(target=keep, args=(url, folder, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(20)
        assert not thread.is_alive()


def stored(url: str, ask: Callable[[Store], T]) -> T:
    with closing(Store.open(url)) as store:
        return ask(store)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_kills_at_fifty_moments_lose_nothing_and_double_nothing(url: str, tmp_path: Path) -> None:
    """Jobs and hosts are killed: each turn whose write returned is in the store, once, in its order."""
    folder = tmp_path / "records"
    done = subprocess.run(
        [sys.executable, "-m", "tests.shared.records.killed", url, str(folder), str(MOMENTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    with kept(url, folder):
        pass
    answered: dict[str, int] = json.loads(done.stdout)
    with closing(Store.open(url)) as store:
        turns = {name: [e.data["number"] for e in store.events(name)] for name in answered}

    assert len(answered) > 10
    assert sum(answered.values()) > 500
    for name, count in answered.items():
        assert turns[name] == list(range(len(turns[name])))
        assert len(turns[name]) - count in (0, 1)  # killed after the write, before the answer


def test_a_database_that_dies_is_waited_for(postgres: Postgres, tmp_path: Path) -> None:
    """Killed and started again: one line in the log for it and one after it, and everything is there, once."""
    url = postgres.database()
    spool = Spool.open(tmp_path, call_id="c")
    with capture_logs() as logs, kept(url, tmp_path):
        spool.append("joined")
        until(lambda: len(stored(url, lambda store: store.events("c"))) == 1)
        postgres.kill()
        spool.append("turn", text="while it is away")
        until(lambda: len(logs) == 1)
        postgres.start()
        until(lambda: len(logs) == 2)
        spool.append("outcome", outcome="completed", code=None)
    spool.close()

    events = stored(url, lambda store: store.events("c"))
    assert [event.event for event in events] == ["joined", "turn", "outcome"]
    assert [entry["event"] for entry in logs] == [
        "records are not stored; files keep them, calls go on",
        "records are stored again",
    ]
    assert "while it is away" not in str(logs)


class Counted(threading.Event):
    """Counts how often somebody waited for it."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        return super().wait(timeout)


def test_a_store_that_cannot_be_made_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is tried; once it can be made, it has everything."""
    monkeypatch.setattr(keeper, "RETRY_S", 0.01)
    folder, over = tmp_path / "folder", Counted()
    folder.touch()
    spool = Spool.open(tmp_path, call_id="c")
    url = f"sqlite:///{folder}/records.db"
    with capture_logs() as logs, kept(url, tmp_path, over=over):
        until(lambda: over.waits > 5)
        assert len(logs) == 1
        spool.append("joined")
        folder.unlink()
        until(lambda: len(logs) == 2)
    spool.close()

    assert len(stored(url, lambda store: store.events("c"))) == 1


async def test_a_host_ends_after_the_last_event_is_stored(url: str, tmp_path: Path) -> None:
    """What is written up to the end is in the store when the host has gone, and the host is listed no longer."""
    state = HostState("h", ["intake"], live=1, load=0.5, draining=False)
    async with keeping_records(url, tmp_path, state=lambda: state):
        await asyncio.to_thread(until, lambda: list(stored(url, look).hosts) == [state])
        spool = Spool.open(tmp_path, call_id="c")
        spool.append("outcome", outcome="completed", code=None)
        spool.close()

    assert [event.event for event in stored(url, lambda store: store.events("c"))] == ["outcome"]
    assert stored(url, look).hosts == []


async def test_records_are_read_wherever_they_were_written(
    postgres: Postgres, tmp_path: Path
) -> None:
    """A dispatcher on one machine is told of a refusal that a host on another one writes, and reads it once."""
    url, here, there = postgres.database(), tmp_path / "here", tmp_path / "there"
    records = reads(here, url)
    async with keeping_records(url, here), keeping_records(url, there), records.listening():
        assert await records.of("c") == []
        before = records.version
        for folder in (here, there):
            spool = Spool.open(folder, call_id="c")
            spool.append("refused", code="metadata.phone", folder=folder.name)
            spool.close()
        begun = time.monotonic()
        while len(found := await records.of("c")) < 2:
            assert time.monotonic() - begun < 10
            await asyncio.sleep(0.01)
        told = records.version
    postgres.kill()
    try:
        alone = await reads(here, url).of("c")
    finally:
        postgres.start()

    assert {event.data["folder"] for event in found} == {"here", "there"}
    assert told > before
    assert [event.data["folder"] for event in alone] == ["here"]
