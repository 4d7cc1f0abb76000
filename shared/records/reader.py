"""What became of calls on any machine: this one's files, and the store that several machines write to.

Hosts import it at their start: SQLAlchemy is loaded with the first question to a store.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from shared.errors import SwitchboardError
from shared.records.spool import Event, Files, dump

if TYPE_CHECKING:
    from shared.records.store import Store

RETRY_S = 1.0

LIMIT_S = 1.0
"""Longest wait for a store: a call must not."""

log = structlog.get_logger(__name__)


def is_shared(url: str) -> bool:
    """Whether the store of this URL serves several machines. SQLite serves the processes of one, which all see its files."""
    return not url.startswith("sqlite")


def reads(folder: Path, url: str) -> Files | Everywhere:
    """What reads the records of a site.

    Args:
        folder: With the files of this machine.
        url: Of the store.
    """
    return Everywhere(folder, url) if is_shared(url) else Files(folder)


class Everywhere:
    """Files of this machine and a store. Where the store does not answer, what the files say counts."""

    def __init__(self, folder: Path, url: str) -> None:
        self._files = Files(folder)
        self._url = url
        self._store: Store | None = None
        self._opening = threading.Lock()
        self._told = 0

    @property
    def version(self) -> int:
        """Of the files and of what the store has told."""
        return self._files.version + self._told

    async def of(self, call_id: str) -> list[Event]:
        """All events of a call, wherever they were written."""
        here = await self._files.of(call_id)
        known = {dump(event) for event in here}
        there: list[Event] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                there = await asyncio.to_thread(self._stored, call_id)
        others = (event for event in there if dump(event) not in known)
        return list(heapq.merge(here, others, key=lambda event: event.at))

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While this is open, `version` tells of what other machines write too."""
        listening = asyncio.create_task(self._listen(), name="records")
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            if self._store is not None:
                self._store.close()

    async def _listen(self) -> None:
        from psycopg import AsyncConnection, Error  # of the extra `postgres`

        from shared.records.store import CHANNEL

        plain = self._url.replace("postgresql+psycopg://", "postgresql://", 1)
        while True:
            with contextlib.suppress(Error, OSError):
                async with await AsyncConnection.connect(plain, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._told += 1  # whatever was told before
                    async for _ in connection.notifies():
                        self._told += 1
            await asyncio.sleep(RETRY_S)

    def _stored(self, call_id: str) -> list[Event]:
        from sqlalchemy.exc import SQLAlchemyError

        from shared.records.database import reason
        from shared.records.store import Store

        try:
            with self._opening:
                self._store = self._store or Store.open(self._url)
            return self._store.events(call_id)
        except (SQLAlchemyError, SwitchboardError, OSError) as err:
            log.warning("records of other machines cannot be read", reason=reason(err))
            return []
