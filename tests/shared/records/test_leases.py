"""Hosts on several machines look after each other's calls."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.config.environment import ROOT
from shared.errors import ConfigError
from shared.records import machine
from shared.records.leases import CLOCK, TTL
from shared.records.machine import occupy
from shared.records.models import hosts, leases
from shared.records.store import Store
from tests.postgres import Postgres
from tests.shared.records.holding import HOLD_S

LIMIT_S = 30.0

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def url(postgres: Postgres) -> str:
    """Of a new database."""
    return postgres.database()


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Start]:
    """Start a host by its name and calls, each as if on a machine of its own."""
    started = []

    def begin(name: str, *calls: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "tests.shared.records.holding", url]
        process = subprocess.Popen(
            [*words, str(tmp_path / name), name, *calls],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def holders(url: str) -> dict[str, tuple[str, int]]:
    """Who holds each call, and with which attempt."""
    with closing(Store.open(url)) as store, store.engine.connect() as connection:
        rows = connection.execute(sa.select(leases)).all()
    return {row.call_id: (row.host, row.attempt) for row in rows}


def let_lapse(url: str, *names: str) -> None:
    """End the leases of these hosts in one moment, as a database that was away does."""
    with closing(Store.open(url)) as store, store.engine.begin() as connection:
        over = sa.update(hosts).where(hosts.c.host.in_(names)).values(seen=CLOCK - 2 * TTL)
        assert connection.execute(over).rowcount == len(names)


def until(condition: Callable[[], bool]) -> float:
    """Wait for it; how long that took, in seconds."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < LIMIT_S
        time.sleep(0.02)
    return time.monotonic() - begun


def test_the_calls_of_a_killed_host_are_taken_over_once(url: str, start: Start) -> None:
    """Two others watch it: each call goes to one of them, with the next attempt, and theirs stay theirs."""
    dying = start("a", "c1", "c2", "c3")
    others = [start("b", "c4"), start("c", "c5")]
    until(lambda: len(holders(url)) == 5)
    dying.kill()
    until(lambda: all(host != "a" for host, _ in holders(url).values()))
    now = holders(url)
    for process in others:
        process.terminate()
    printed = [line for one in others for line in one.stdout or ()]

    assert sorted(printed) == ["c1\n", "c2\n", "c3\n"]
    assert {now[name][1] for name in ("c1", "c2", "c3")} == {2}
    assert (now["c4"], now["c5"]) == (("b", 1), ("c", 1))


def test_silence_of_most_hosts_is_waited_for(url: str, start: Start) -> None:
    """Two of three that are silent may have lost the database only: nobody acts before they had time to come back."""
    silent = [start("a", "c1"), start("b", "c2")]
    start("c", "c3")
    until(lambda: len(holders(url)) == 3)
    for process in silent:
        process.kill()
        process.wait()
    let_lapse(url, "a", "b")
    took = until(lambda: all(host == "c" for host, _ in holders(url).values()))

    assert took > HOLD_S - 1


def test_one_folder_of_records_serves_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second machine is refused while the first one is there, with what to do; later it may."""
    occupy(tmp_path)
    occupy(tmp_path)
    monkeypatch.setattr(machine, "BOOT_ID", tmp_path / "none")
    with pytest.raises(ConfigError, match="postgresql://"):
        occupy(tmp_path)
    monkeypatch.setattr(machine, "FRESH_S", 0.0)
    occupy(tmp_path)
