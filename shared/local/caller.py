"""A caller made of software: joins a room by WebRTC, has an agent dispatched, speaks, listens and times every step by its own clock.

It knows nothing of how a call is configured or shown, and several may run in one process.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from livekit import rtc

from shared.dispatch.identity import ATTEMPT, CODE, KEY, OUTCOME
from shared.errors import StackError
from shared.local.call import CallOptions, CallResult, OnEvent, Step
from shared.local.exchange import Exchange, Sight, Taken
from shared.local.sound import Ear, Microphone, read_wav
from shared.local.transcripts import Transcript

QUIET_S = 0.6
"""Silence, while the agent says it listens, after which it is taken to have finished."""

PATIENCE_S = 10.0
"""Longest wait for an agent that listens but says nothing; then the caller goes on."""

BUSY_PATIENCE_S = 30.0
"""The same for an agent that says it is busy."""

JOIN_LIMIT_S = 30.0
TAKE_LIMIT_S = 10.0
"""LiveKit offers a dispatch for 9 s at most; what nobody took by then is lost."""

OUTCOME_LIMIT_S = 5.0
"""Longest look at the agent after the caller has left, for the outcome."""

MAX_TURNS = 20
"""A persona says no more than this."""

_LOOK_S = 1.0
_TICK_S = 0.02

T = TypeVar("T")


async def call(options: CallOptions, *, on_event: OnEvent = lambda event: None) -> CallResult:
    """Make one call. It hangs up whatever happens, also when cancelled.

    Raises:
        StackError: LiveKit or the voice cannot be reached.
        ConfigError: A WAV file cannot be read.
    """
    caller = _Caller(options, on_event)
    try:
        try:
            async with asyncio.timeout(options.timeout_s):
                await caller.dial()
                await caller.converse()
        except TimeoutError:
            caller.timed_out = True
        await caller.see_outcome()
    finally:
        await caller.hang_up()
    return caller.result()


class _Caller:
    """One call from dialling to hanging up."""

    def __init__(self, options: CallOptions, on_event: OnEvent) -> None:
        self._options = options
        self._on_event = on_event
        self._name = options.room or f"call-{secrets.token_hex(4)}"
        self._identity = f"caller-{secrets.token_hex(4)}"
        self._key = secrets.token_hex(8)
        self._exchange = Exchange(options.livekit_url, options.api_key, options.api_secret)
        self._sight = Sight(self._key)
        self._ear = Ear()
        self._room = rtc.Room()
        self._microphone: Microphone | None = None
        self._transcript: Transcript | None = None
        self._sounds: list[bytes] = []
        self._dispatched = 0.0
        self._dispatch_id: str | None = None
        self._taken: Taken = "not known"
        self._answers: list[float] = []
        self.timed_out = False

    async def dial(self) -> None:
        """Join, open the microphone, dispatch, and wait for the agent."""
        # made before the call: making speech would compete with the agent for this machine's processor
        self._sounds = [await self._sound(turn) for turn in self._options.turns]
        self._sight.watch(self._room)
        self._room.on("track_subscribed", self._on_track)
        await self._exchange.join(
            self._room, self._name, self._identity, attributes=self._options.attributes
        )
        self._sight.begin(self._room)
        self._transcript = Transcript(self._room, self._on_event)
        self._microphone = Microphone()
        await self._microphone.publish(self._room)
        self._on_event(Step("in the room"))
        self._dispatched = time.monotonic()
        self._dispatch_id = await self._exchange.dispatch(
            self._name,
            self._options.agent,
            metadata=self._options.metadata,
            deployment=self._options.deployment,
            attributes={KEY: self._key, ATTEMPT: "1"},
        )
        self._on_event(Step("dispatched"))
        await self._wait_for_agent(self._dispatch_id)

    async def converse(self) -> None:
        """Hear the agent out, answer, and so on, until the caller has nothing more to say or the agent has gone."""
        if self._sight.joined is None:
            return
        since = self._dispatched
        for turn in range(MAX_TURNS if not self._sounds else len(self._sounds) + 1):
            known = len(self._transcript or ())
            await self._hear_out(since, answer=turn > 0)
            if self._sight.gone.is_set():
                self._on_event(Step("agent left"))
                return
            sound = await self._reply(turn, known)
            if sound is None:
                return
            since = await self._say(sound)

    async def see_outcome(self) -> None:
        """Hang up, then look on until the agent has noticed and says what it makes of the call.

        Who has left a room sees nothing of it, so a second, hidden participant looks on for a moment.
        """
        if not self._sight.outcome_due:
            return
        observer = rtc.Room()
        try:
            await self._exchange.join(observer, self._name, f"{self._identity}-after", hidden=True)
            self._sight.unwatch(self._room)
            self._sight.watch(observer)
            self._sight.resume(observer)
            await self._leave()
            async with asyncio.timeout(OUTCOME_LIMIT_S):
                while self._sight.outcome_due:
                    await asyncio.sleep(_TICK_S)
        except TimeoutError:
            pass
        finally:
            await observer.disconnect()

    async def hang_up(self) -> None:
        await self._leave()
        if self._transcript:
            await self._transcript.close()
        await self._exchange.close()

    def result(self) -> CallResult:
        first = self._ear.start_after(self._dispatched)
        return CallResult(
            room=self._name,
            dispatch_id=self._dispatch_id,
            agent_joined_s=self._since_dispatch(self._sight.joined),
            first_word_s=self._since_dispatch(first),
            answers_s=tuple(self._answers),
            transcript=tuple(self._transcript.lines()) if self._transcript else (),
            outcome=self._sight.attribute(OUTCOME),
            code=self._sight.attribute(CODE),
            timed_out=self.timed_out,
            failure=self._failure() if first is None else None,
        )

    async def _wait_for_agent(self, dispatch_id: str) -> None:
        look = _LOOK_S
        while self._sight.joined is None and not self._sight.gone.is_set():
            waited = time.monotonic() - self._dispatched
            if waited > look:
                look += _LOOK_S
                self._taken = await self._exchange.taken(self._name, dispatch_id)
                lost = self._taken == "by nobody" and waited > TAKE_LIMIT_S
                if lost or self._taken == "to refuse it":
                    return
            if waited > JOIN_LIMIT_S:
                return
            await asyncio.sleep(_TICK_S)
        if self._sight.joined is not None:
            self._on_event(Step("agent joined", self._since_dispatch(self._sight.joined)))

    async def _hear_out(self, since: float, *, answer: bool) -> None:
        """Wait until the agent has said something after `since` and is done, or has been silent for too long."""
        heard = False
        while not self._sight.gone.is_set():
            start = self._ear.start_after(since)
            if start is not None and not heard:
                heard = True
                if answer:
                    self._answers.append(round(start - since, 3))
                self._on_event(Step("answer" if answer else "first word", round(start - since, 3)))
            quiet_since = max(self._ear.last or 0.0, self._sight.listening_since, since)
            if not self._sight.listening:
                limit = BUSY_PATIENCE_S
            else:
                limit = QUIET_S if heard else PATIENCE_S
            if time.monotonic() - quiet_since > limit:
                return
            await asyncio.sleep(_TICK_S)

    async def _reply(self, turn: int, known: int) -> bytes | None:
        """What to say next, as sound; `None` where there is nothing."""
        if self._sounds:
            return self._sounds[turn] if turn < len(self._sounds) else None
        lines = self._transcript.lines("agent", after=known) if self._transcript else []
        reply = self._options.persona.reply(" ".join(line.text for line in lines))
        if reply is not None:
            return await self._sound(reply)
        # The agent said goodbye: like people, wait for it to hang up, but not for ever.
        await self._unless_gone(asyncio.sleep(PATIENCE_S))
        return None

    async def _say(self, sound: bytes) -> float:
        """Speak; the moment of the last sound, or now where the agent went meanwhile."""
        assert self._microphone is not None
        spoken = await self._unless_gone(self._microphone.say(sound))
        if spoken is None:
            return time.monotonic()
        self._on_event(Step("spoke"))
        return spoken

    async def _sound(self, turn: str | Path) -> bytes:
        if isinstance(turn, Path):
            return read_wav(turn)
        if self._options.voice is None:
            raise StackError(
                "there is no voice to speak a text. Give WAV files instead.", code="stack.voice"
            )
        return await self._options.voice.speak(turn)

    async def _unless_gone(self, doing: Coroutine[Any, Any, T]) -> T | None:
        """Its result; `None` where the agent went first."""
        task = asyncio.ensure_future(doing)
        gone = asyncio.ensure_future(self._sight.gone.wait())
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            gone.cancel()

    async def _leave(self) -> None:
        await self._ear.close()
        if self._microphone:
            await self._microphone.close()
            self._microphone = None
        if self._room.isconnected():
            await self._room.disconnect()
            self._on_event(Step("hung up"))

    def _on_track(self, track: rtc.Track, publication: Any, person: rtc.RemoteParticipant) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO and self._sight.is_agent(person):
            self._ear.listen(track)

    def _since_dispatch(self, moment: float | None) -> float | None:
        return None if moment is None else round(moment - self._dispatched, 3)

    def _failure(self) -> str:
        agent = self._options.agent
        log = "The host's log says why."
        if self._sight.joined is None:
            match self._taken:
                case "to refuse it":
                    return f"{agent} refused the call. {log}"
                case "by nobody":
                    return f"nobody took the call: no host of {agent} is free, or its deployment is another."
            return f"{agent} did not join. {log}"
        if code := self._sight.attribute(CODE):
            return f"{agent} joined but failed ({code}). {log}"
        return f"{agent} joined but said nothing. {log}"
