"""Waiting for what becomes of a call, as a dispatcher does: Postgres tells, SQLite is looked at."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from shared.records.calls import CallSummary
from shared.records.store import CHANNEL, Store

LOOK_S = 0.01
"""How often SQLite is asked whether somebody has written."""


class Outcomes:
    """The outcomes of calls in a store. Make it with `outcomes`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news = asyncio.Event()

    async def wait(self, name: str, *, limit_s: float) -> CallSummary | None:
        """The call with this id, dispatch or room once it has an outcome, `declined` included; `None` where it has none in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while True:
                    news = self._news
                    found = await asyncio.to_thread(self._store.find, name)
                    if found is not None and found.outcome is not None:
                        return found
                    await news.wait()
        return None

    def ring(self) -> None:
        """Something was written."""
        news, self._news = self._news, asyncio.Event()
        news.set()


@contextlib.asynccontextmanager
async def outcomes(store: Store) -> AsyncIterator[Outcomes]:
    """Learn of outcomes as they are stored, on one connection for all who wait."""
    made = Outcomes(store)
    begun = asyncio.Event()
    listening = asyncio.create_task(
        (_look if store.is_sqlite else _listen)(store, made, begun), name="outcomes"
    )
    try:
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait([listening, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if listening.done():
            await listening
        yield made
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _listen(store: Store, made: Outcomes, begun: asyncio.Event) -> None:
    from psycopg import AsyncConnection  # only where the extra `postgres` is installed

    url = store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        begun.set()
        async for _ in connection.notifies():
            made.ring()


async def _look(store: Store, made: Outcomes, begun: asyncio.Event) -> None:
    """SQLite counts the writes of others for each connection."""
    with store.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        seen = None
        while True:
            version = driver.execute("PRAGMA data_version").fetchone()
            if version != seen:
                seen = version
                made.ring()
            begun.set()
            await asyncio.sleep(LOOK_S)
