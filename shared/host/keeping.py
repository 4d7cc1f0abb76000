"""A host's thread for records: neither a call nor the host's loop waits for a database."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shared.records.hosts import HostState

if TYPE_CHECKING:
    from shared.records.leases import Holder

END_S = 10.0
"""Longest wait for the store at the end; what it does not take stays in files, for the next host."""

_LOOK_S = 0.1


@contextlib.asynccontextmanager
async def keeping_records(
    url: str,
    folder: Path,
    *,
    ready: Callable[[], bool] = lambda: True,
    state: Callable[[], HostState] | None = None,
    holder: Holder | None = None,
) -> AsyncIterator[None]:
    """Bring in what calls write to the folder, meanwhile and once more at the end.

    Args:
        ready: Whether the host is registered. Loading SQLAlchemy would make its start slower.
        state: What the host says of itself.
        holder: The calls that it answers for.
    """
    over = threading.Event()

    def run() -> None:
        while not ready() and not over.wait(_LOOK_S):
            pass
        from shared.records.keeper import keep

        keep(url, folder, over, state, holder)

    thread = threading.Thread(target=run, name="records", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        await asyncio.to_thread(thread.join, END_S)
