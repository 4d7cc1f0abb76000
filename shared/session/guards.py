"""Nobody waits in silence: a caller who is owed a word gets one, or the call ends with an outcome and a code.

Providers fail without an error, too: a recogniser takes sound and hears nothing, a model keeps its stream open, a voice speaks zeros, a
tool's call is lost with the half of an answer. The session waits on; here a clock runs. When it is over the agent says again what it
said last, and when that brings no answer either, the call ends as `provider.silent`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from livekit import rtc
from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    ErrorEvent,
    SpeechCreatedEvent,
    ToolCallEnded,
    ToolCallStarted,
    ToolExecutionUpdatedEvent,
    UserTranscriptionTimeoutEvent,
    io,
)
from livekit.agents.voice import SpeechHandle

from shared.session.call import Call
from shared.session.events import slot

ANSWER_LIMIT_S = 8.0
"""Longest silence of an agent that has begun to answer, and of a recogniser after the caller's words."""

SPEECH_S = 0.5
"""What is shorter was a cough or a door: it needs no answer where it has no words."""

QUIET = 100
"""Peak of 16-bit sound up to which nobody hears anything."""

log = structlog.get_logger(__name__)


def guard(session: AgentSession[Call], call: Call) -> None:
    """Watch over a session to its end, from when it begins to speak: until then `watch_first_audio` does."""
    watched = _Silence(session, call)
    session.on("speech_created", watched.on_speech)
    session.on("agent_state_changed", watched.on_state)
    session.on("user_transcription_timeout", watched.on_unheard)
    session.on("tool_execution_updated", watched.on_tool)
    session.on("error", watched.on_error)
    session.on("close", watched.on_close)


class _Silence:
    """The clock of one call."""

    def __init__(self, session: AgentSession[Call], call: Call) -> None:
        self._session = session
        self._call = call
        self._clock: asyncio.TimerHandle | None = None
        self._heard_at: float | None = None
        self._repeat: SpeechHandle | None = None
        self._faulty: str | None = None
        self._tools = 0
        self._begun = False

    def owe(self) -> None:
        """The agent must be heard within the limit from now."""
        if not self._begun:
            return
        self._settle()
        loop = asyncio.get_running_loop()
        self._clock = loop.call_later(ANSWER_LIMIT_S, self._over)

    def on_speech(self, event: SpeechCreatedEvent) -> None:
        sink = self._session.output.audio
        if sink is not None and not isinstance(sink, _Ear):
            self._session.output.audio = _Ear(sink, self._hear)
        self.owe()

    def on_state(self, event: AgentStateChangedEvent) -> None:
        first = event.new_state == "speaking" and not self._begun
        self._begun |= first
        if first or event.new_state == "thinking":
            self.owe()
        if event.new_state == "speaking" and self._session.output.audio is None:
            self._hear()

    def on_unheard(self, event: UserTranscriptionTimeoutEvent) -> None:
        spoken_since = self._heard_at is not None and self._silence_s() < ANSWER_LIMIT_S
        if self._clock is None and not spoken_since and event.speech_duration >= SPEECH_S:
            self._strike("stt")

    def on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        self._tools += isinstance(event.update, ToolCallStarted)
        if isinstance(event.update, ToolCallEnded):
            self._tools -= 1
            if self._clock is not None:
                self.owe()

    def on_error(self, event: ErrorEvent) -> None:
        self._faulty = slot(event.error)

    def on_close(self, event: CloseEvent) -> None:
        self._settle()

    def _hear(self) -> None:
        """The agent is heard."""
        self._heard_at = asyncio.get_running_loop().time()
        self._faulty = None
        self._settle()
        if self._session.current_speech is not self._repeat:
            self._repeat = None

    def _settle(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _silence_s(self) -> float:
        return asyncio.get_running_loop().time() - (self._heard_at or 0.0)

    def _over(self) -> None:
        """The limit is reached. A caller who speaks, a tool that runs and an empty room are good reasons for it."""
        if self._session.user_state == "speaking" or self._tools or not self._call.has_caller():
            self.owe()
        elif self._heard_at is None or self._session.agent_state == "speaking":
            self._strike("tts")  # the first word needs nothing else, and who speaks has an answer
        else:
            self._strike(self._faulty or "llm")

    def _strike(self, provider: str) -> None:
        """Say the last words again, or end the call where they were said again already."""
        self._settle()
        if self._call.failing or self._call.outcome is not None:
            return
        said = [
            item.text_content
            for item in self._session.history.messages()
            if item.role == "assistant" and item.text_content
        ]
        self._session.interrupt(force=True)  # what hangs would keep everything behind it waiting
        if self._repeat is not None or not said:
            self._call.fail(self._session, "provider.silent", provider=provider)
            return
        log.warning("silence, saying the last words again", provider=provider)
        self._repeat = self._session.say(said[-1])


class _Ear(io.AudioOutput):
    """Hears what is sent to the caller on its way."""

    def __init__(self, sink: io.AudioOutput, hear: Callable[[], None]) -> None:
        super().__init__(
            label="Ear",
            next_in_chain=sink,
            sample_rate=sink.sample_rate,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        self._sink = sink
        self._hear = hear

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        await self._sink.capture_frame(frame)
        if max(frame.data) > QUIET:
            self._hear()

    def flush(self) -> None:
        super().flush()
        self._sink.flush()

    def clear_buffer(self) -> None:
        self._sink.clear_buffer()
