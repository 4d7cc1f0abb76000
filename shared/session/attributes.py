"""The agent participant's attributes, as everybody in the room and the server's API see them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import structlog
from livekit import rtc

log = structlog.get_logger(__name__)

TRIES, TRY_S = 5, 0.15
"""How often, and how long each time, attributes are sent until they are there."""


async def publish(me: rtc.LocalParticipant, attributes: Mapping[str, str]) -> None:
    """Set attributes, again until they are there.

    LiveKit's SDK loses an update that meets another one, and waits 5 s for it. Its session sets the agent's state at any moment.
    """
    for _ in range(TRIES):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TRY_S):
                await me.set_attributes(dict(attributes))
        if attributes.items() <= me.attributes.items():
            return
    log.warning("attributes not set", names=sorted(attributes))
