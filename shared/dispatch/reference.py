"""Metadata that does not ride in a token, which anybody can read who has it: the dispatch refers to the records instead.

requested    ref, agent, room, metadata     in the record of the call
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from shared.dispatch.identity import KEY, REFERENCE
from shared.records.spool import Event, Reads, Spool

_TICK_S = 0.02


def put(folder: Path, key: str, *, agent: str, room: str, metadata: str) -> str:
    """Keep the metadata of a dispatch; what refers to it."""
    ref = secrets.token_urlsafe(12)
    record = Spool.open(folder, call_id=key)
    record.append("requested", ref=ref, agent=agent, room=room, metadata=metadata)
    record.close()
    return ref


def referenced(events: Iterable[Event], attributes: Mapping[str, str]) -> str | None:
    """What a dispatch refers to, among the events of its call."""
    ref = attributes.get(REFERENCE)
    for event in events:
        if event.event == "requested" and event.data.get("ref") == ref:
            return str(event.data["metadata"])
    return None


async def look_up(records: Reads, attributes: Mapping[str, str], *, limit_s: float) -> str | None:
    """What a dispatch refers to; `None` where it is not in the records in time. On another machine it takes a moment to get there."""
    try:
        async with asyncio.timeout(limit_s):
            while True:
                found = referenced(await records.of(attributes.get(KEY, "")), attributes)
                if found is not None:
                    return found
                await asyncio.sleep(_TICK_S)
    except TimeoutError:
        return None
