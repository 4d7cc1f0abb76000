"""What goes on now: hosts, agents and rooms, from the store of all hosts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from shared.records.calls import CallSummary
from shared.records.hosts import HostState
from shared.records.models import calls, hosts
from shared.records.store import Store

LOST = timedelta(seconds=15)
"""A host that has said nothing for so long is gone."""

WINDOW = timedelta(hours=1)
_FORGOTTEN = timedelta(days=1)
_JOINS = 1000
"""Join times go by the newest of so many calls."""


@dataclass(frozen=True)
class AgentState:
    """What became of an agent's calls of the last hour.

    Attributes:
        refused: How many were, by code: those whose metadata or wishes did not fit, and those that no host had room for.
        join_s: Median and 95th percentile, from the first offer to the agent in the room.
    """

    agent: str
    calls: int
    live: int
    refused: dict[str, int]
    join_s: tuple[float, float] | None


@dataclass(frozen=True)
class Overview:
    """All of it at one moment."""

    hosts: Sequence[HostState]
    agents: Sequence[AgentState]
    live: Sequence[CallSummary]


def report(store: Store, state: HostState) -> None:
    """Write what a host says of itself, and forget those that have said nothing for a day."""
    # between machines one clock counts; SQLite's has whole seconds, and serves one machine
    now = datetime.now(UTC) if store.is_sqlite else sa.func.clock_timestamp()
    row = {**vars(state), "agents": list(state.agents), "seen": now}
    upsert = store.insert(hosts)
    with store.writing() as connection:
        connection.execute(
            upsert.values(row).on_conflict_do_update(index_elements=["host"], set_=row)
        )
        connection.execute(sa.delete(hosts).where(hosts.c.seen < now - _FORGOTTEN))


def withdraw(store: Store, host: str) -> None:
    """A host ends."""
    with store.writing() as connection:
        connection.execute(sa.delete(hosts).where(hosts.c.host == host))


def look(store: Store) -> Overview:
    """Look at hosts, agents and live rooms."""
    now = datetime.now(UTC)
    with store.engine.connect() as connection:
        here = [
            HostState(row.host, row.agents, row.live, row.load, row.draining)
            for row in connection.execute(
                sa.select(hosts).where(hosts.c.seen > now - LOST).order_by(hosts.c.host)
            )
        ]
        running = connection.execute(
            sa.select(calls)
            .where(calls.c.outcome.is_(None), calls.c.host.in_([host.host for host in here]))
            .order_by(calls.c.offered)
        )
        live = [CallSummary(**row) for row in running.mappings()]
        ends = connection.execute(
            sa.select(calls.c.agent, calls.c.outcome, calls.c.code, sa.func.count().label("number"))
            .where(calls.c.began > now - WINDOW)
            .group_by(calls.c.agent, calls.c.outcome, calls.c.code)
        ).all()
        joins = connection.execute(
            sa.select(calls.c.agent, calls.c.began, calls.c.joined)
            .where(calls.c.began > now - WINDOW, calls.c.joined.is_not(None))
            .order_by(calls.c.began.desc())
            .limit(_JOINS)
        ).all()
    names = {name for host in here for name in host.agents} | {row.agent or "-" for row in ends}
    agents = []
    for name in sorted(names):
        mine = [row for row in ends if (row.agent or "-") == name]
        refused = {
            row.code or "-": row.number for row in mine if row.outcome in ("refused", "declined")
        }
        seconds = [(r.joined - r.began).total_seconds() for r in joins if (r.agent or "-") == name]
        agents.append(
            AgentState(
                agent=name,
                calls=sum(row.number for row in mine),
                live=sum((call.agent or "-") == name for call in live),
                refused=refused,
                join_s=_spread(seconds),
            )
        )
    return Overview(here, agents, live)


def _spread(seconds: Sequence[float]) -> tuple[float, float] | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    return round(statistics.median(ordered), 3), round(ordered[int(len(ordered) * 0.95)], 3)
