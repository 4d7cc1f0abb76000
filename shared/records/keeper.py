"""What keeps the store up to date while a host runs. It waits for the database, so it needs a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import SwitchboardError
from shared.records.database import reason
from shared.records.hosts import HostState
from shared.records.ingest import Ingester
from shared.records.leases import Holder, Leases
from shared.records.machine import occupy
from shared.records.overview import report, withdraw
from shared.records.store import Store

TICK_S = 0.05
RETRY_S = 1.0
"""Between two tries while the store does not answer, or while another process brings the folder in."""

_REPORT_S = 3.0
LEASE_S = 1.0
"""Between two renewals of a lease."""
_TIDY_S = 60.0

log = structlog.get_logger(__name__)


def keep(
    url: str,
    folder: Path,
    over: threading.Event,
    state: Callable[[], HostState] | None = None,
    holder: Holder | None = None,
) -> None:
    """Bring in what calls write to the folder, until `over` and what was written by then.

    Args:
        url: Of the store. While it does not answer, the files keep everything.
        state: What a host says of itself, to be seen in `switchboard top`.
        holder: The calls that it answers for, where hosts on other machines look after each other.
    """
    keeper = _Keeper(folder, over, state, holder)
    while True:
        try:
            with contextlib.closing(Store.open(url)) as store:
                keeper.run(store)
                return
        except (SQLAlchemyError, SwitchboardError, OSError) as err:
            keeper.fails(err)
        if over.wait(RETRY_S):
            return


class _Keeper:
    def __init__(
        self,
        folder: Path,
        over: threading.Event,
        state: Callable[[], HostState] | None,
        holder: Holder | None,
    ) -> None:
        self._folder = folder
        self._over = over
        self._state = state
        self._holder = holder
        self._leases: Leases | None = None
        self._failing = False
        self._report_at = 0.0
        self._tidy_at = 0.0

    def run(self, store: Store) -> None:
        """Until the end, or the first thing that the store does not take."""
        if self._state is not None and self._holder is not None and not store.is_sqlite:
            self._leases = Leases(store, self._state().host, self._holder)
        last = False
        while not last:
            with Ingester.alone(self._folder, store) as ingester:
                while True:
                    last = self._over.is_set()
                    self._turn(store, ingester)
                    if last or ingester is None:
                        break
                    self._over.wait(TICK_S)
            if not last:
                self._over.wait(RETRY_S if self._leases is None else TICK_S)
        if self._state is not None:
            withdraw(store, self._state().host)

    def _turn(self, store: Store, ingester: Ingester | None) -> None:
        now = time.monotonic()
        if ingester is not None:
            ingester.ingest()
            if now >= self._tidy_at:
                self._tidy_at = now + _TIDY_S
                ingester.tidy()
        due = self._state is not None and now >= self._report_at
        if self._state is not None and due:
            self._report_at = now + (_REPORT_S if self._leases is None else LEASE_S)
            occupy(self._folder)
            report(store, self._state())
        if self._leases is not None:
            self._leases.write()  # after the report: a call whose host nobody knows would never be taken over
            if due:
                self._leases.take_over()
        if self._failing:
            self._failing = False
            log.info("records are stored again")

    def fails(self, err: Exception) -> None:
        """Said once an outage."""
        if not self._failing:
            self._failing = True
            log.error("records are not stored; files keep them, calls go on", reason=reason(err))
