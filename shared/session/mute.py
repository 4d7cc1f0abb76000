"""An agent that is in the room with a caller and is not heard: it counts as lost."""

from __future__ import annotations

import asyncio

import structlog
from livekit.agents import AgentSession, AgentStateChangedEvent

from shared.session.call import Call

FIRST_AUDIO_S = 5.0
"""From the moment when it has something to say to somebody, to its first sound. LiveKit's plugins try for 10 s and longer."""

log = structlog.get_logger(__name__)


async def watch_first_audio(call: Call, session: AgentSession[Call]) -> None:
    """Leave the call to another agent where this one is not heard in time. A caller who speaks meanwhile is listened to first."""
    heard = asyncio.Event()

    def on_state(event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking":
            heard.set()

    session.on("agent_state_changed", on_state)
    try:
        await call.due.wait()
        await call.arrived.wait()
        if session.output.audio is None:
            return  # it writes
        while True:
            try:
                async with asyncio.timeout(FIRST_AUDIO_S):
                    await heard.wait()
                    return
            except TimeoutError:
                if session.user_state != "speaking":
                    break
        if call.has_caller() and call.outcome is None and not call.failing:
            log.error("agent is not heard", after_s=FIRST_AUDIO_S)
            call.lose("job.mute")
    finally:
        session.off("agent_state_changed", on_state)
