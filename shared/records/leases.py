"""Which host answers for which call, for hosts on several machines: in Postgres, on the database's clock.

A host renews its lease every second and writes down what another attempt of each of its calls would take. A lease that is not renewed for
three seconds is over: whoever sees it first takes the calls over. Nobody acts whose own lease was not just renewed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

from shared.records.models import hosts, leases
from shared.records.store import Store

TTL = timedelta(seconds=3)
HOLD_S = 10.0
"""Where most hosts are silent at once it is rather the database that was away: they get so long to come back."""

CLOCK = sa.func.clock_timestamp()

log = structlog.get_logger(__name__)


class Holder(Protocol):
    """A host, as leases see it. Called from the thread that keeps the store."""

    def held(self) -> Mapping[str, Mapping[str, Any]]:
        """What another attempt of each call would take, with its `attempt`, by call id."""

    def inherit(self, call: Mapping[str, Any]) -> None:
        """Look after a call of a host that is gone."""


class Leases:
    """One host's share."""

    def __init__(self, store: Store, host: str, holder: Holder) -> None:
        self._store = store
        self._host = host
        self._holder = holder
        self._written: Mapping[str, Mapping[str, Any]] = {}
        self._holding_since: float | None = None

    def write(self) -> None:
        """Write down the calls that came and went since the last time."""
        held = self._holder.held()
        if held == self._written:
            return
        come = {name: call for name, call in held.items() if self._written.get(name) != call}
        gone = [name for name in self._written if name not in held]
        with self._store.writing() as connection:
            if gone:
                connection.execute(
                    sa.delete(leases).where(leases.c.host == self._host, leases.c.call_id.in_(gone))
                )
            if come:
                upsert = self._store.insert(leases)
                connection.execute(
                    upsert.on_conflict_do_update(
                        index_elements=["call_id"],
                        set_={name: upsert.excluded[name] for name in ("host", "attempt", "job")},
                        where=upsert.excluded.attempt >= leases.c.attempt,
                    ),
                    [
                        {
                            "call_id": name,
                            "host": self._host,
                            "attempt": call["attempt"],
                            "job": call,
                        }
                        for name, call in come.items()
                    ],
                )
        self._written = dict(held)

    def take_over(self) -> None:
        """Take the calls of hosts whose leases are over. To be called right after this host's own was renewed."""
        over = hosts.c.seen < CLOCK - TTL
        with self._store.writing() as connection:
            rows = connection.execute(sa.select(hosts.c.host, over.label("over"))).all()
            lost = [row.host for row in rows if row.over]
            if self._must_hold(len(lost), len(rows)):
                return
            for host in sorted(lost):
                for call in self._claimed(connection, host):
                    self._holder.inherit(call)
            if lost:
                connection.execute(sa.delete(hosts).where(hosts.c.host.in_(lost), over))

    def _must_hold(self, lost: int, all_: int) -> bool:
        if 2 * lost <= all_:
            self._holding_since = None
            return False
        if self._holding_since is None:
            self._holding_since = time.monotonic()
            log.error("most hosts are silent; waiting for them", silent=lost, hosts=all_)
        return time.monotonic() - self._holding_since < HOLD_S

    def _claimed(self, connection: sa.Connection, host: str) -> list[Mapping[str, Any]]:
        """The calls of a lost host that are this one's now: of all who try, one gets each."""
        claimed = []
        there = connection.execute(sa.select(leases).where(leases.c.host == host)).all()
        for row in there:
            done = connection.execute(
                sa.update(leases)
                .where(
                    leases.c.call_id == row.call_id,
                    leases.c.host == host,
                    leases.c.attempt == row.attempt,
                )
                .values(host=self._host, attempt=row.attempt + 1)
            )
            if done.rowcount == 1:
                claimed.append(row.job)
        return claimed
