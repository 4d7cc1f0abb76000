"""What goes on now, and how soon a large store says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.store import fill as fill_with_many
from shared.records.hosts import HostState
from shared.records.models import hosts
from shared.records.overview import LOST, AgentState, look, report, withdraw
from shared.records.spool import Event
from shared.records.store import Line, Store

NOW = datetime.now(UTC)
HOST = HostState("h1", ["intake", "support"], live=1, load=0.25, draining=False)
MANY = 5_000


def add(store: Store, call_id: str, *told: tuple[float, str, dict[str, Any]]) -> None:
    """A call's events, with how many seconds ago each was."""
    store.add(
        [
            Line("w", Event(1, n, NOW - timedelta(seconds=ago), call_id, 1, event, data))
            for n, (ago, event, data) in enumerate(told)
        ],
        {call_id: 1},
    )


def offered(agent: str, host: str = "h1") -> dict[str, str]:
    return {"agent": agent, "room": f"room of {agent}", "host": host}


def fill(store: Store) -> None:
    add(store, "runs", (60, "offered", offered("intake")), (59.5, "joined", {}))
    add(store, "lost", (50, "offered", offered("intake", "h0")), (48, "joined", {}))
    add(
        store,
        "done",
        (300, "offered", offered("support")),
        (299, "joined", {}),
        (200, "outcome", {"outcome": "completed", "code": None}),
    )
    add(
        store,
        "misfit",
        (30, "refused", {"agent": "support", "room": "r"}),
        (30, "outcome", {"outcome": "refused", "code": "metadata.phone"}),
    )
    add(store, "full", (20, "declined", {"agent": "support", "code": "host.full"}))
    add(store, "old", (7200, "declined", {"agent": "support", "code": "host.full"}))
    report(store, HOST)


def test_hosts_agents_and_live_rooms_are_shown(store: Store) -> None:
    """Calls that run on a living host, those of the last hour by agent, what was refused by code, how long joining took."""
    fill(store)
    seen = look(store)

    assert list(seen.hosts) == [HOST]
    assert [(call.call_id, call.room, call.host) for call in seen.live] == [
        ("runs", "room of intake", "h1")
    ]
    assert list(seen.agents) == [
        AgentState("intake", calls=2, live=1, refused={}, join_s=(1.25, 2.0)),
        AgentState(
            "support",
            calls=3,
            live=0,
            refused={"metadata.phone": 1, "host.full": 1},
            join_s=(1.0, 1.0),
        ),
    ]


def test_a_host_that_says_nothing_is_gone(store: Store) -> None:
    """One that was killed is shown no longer, nor its calls; one that says something again is."""
    fill(store)
    with store.writing() as connection:
        connection.execute(sa.update(hosts).values(seen=datetime.now(UTC) - LOST))
    gone = look(store)
    report(store, HOST)
    back = look(store)
    withdraw(store, HOST.host)

    assert (list(gone.hosts), list(gone.live)) == ([], [])
    assert list(back.hosts) == [HOST]
    assert list(look(store).hosts) == []


def test_top_prints_it(tmp_path: Path) -> None:
    """Once where no terminal is, as text or one JSON object; nothing that was said."""
    store = Store.open(f"sqlite:///{tmp_path}/records/records.db")
    fill(store)
    store.close()
    text, whole = (
        subprocess.run(
            [sys.executable, "-m", "shared.cli.main", "top", *words],
            env={**os.environ, "SWITCHBOARD_VAR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for words in ((), ("--json",))
    )

    assert "h1    intake, support  1     0.25" in text
    assert "1.25 / 2.00 s" in text
    assert "metadata.phone 1" in text
    said = json.loads(whole)
    assert [host["host"] for host in said["hosts"]] == ["h1"]
    assert said["live"][0]["joined_s"] == 0.5


def test_a_store_of_many_calls_is_found_through(store: Store) -> None:
    """`list`, `show` by each kind of name, and `top`; how long that takes is in the bench."""
    fill_with_many(store, MANY)
    newest = store.newest(20)
    found = [store.find(name) for name in (f"c-{MANY}", f"AD_{MANY}", f"r-{MANY}", "nobody")]
    seen = look(store)

    assert [call.call_id for call in newest[:2]] == ["c-1", "c-2"]
    assert [call and call.call_id for call in found] == [f"c-{MANY}"] * 3 + [None]
    assert len(store.events(f"c-{MANY}")) == 1
    assert 3500 <= seen.agents[0].calls <= 3600


def test_an_export_is_whole_and_in_order(store: Store) -> None:
    """Call after call as they began, over more calls than are read at a time."""
    names = [f"c-{number}" for number in range(450)]
    lines = []
    for n, name in enumerate(names):
        began = NOW - timedelta(seconds=1000 - n // 2)
        lines += [
            Line("w", Event(1, 0, began, name, 1, "joined", {})),
            Line("w", Event(1, 1, NOW, name, 1, "turn", {"text": name})),
        ]
    store.add(lines, {"file": 1})
    exported = list(store.export())

    assert len(exported) == 2 * len(names)
    assert [event.event for event in exported] == ["joined", "turn"] * len(names)
    begins = [event.at for event in exported if event.event == "joined"]
    assert begins == sorted(begins)
    assert {event.call_id for event in exported} == set(names)
