"""One call from dialling to hanging up, whatever is said in it: by WebRTC, timed by the caller's own clock.

It knows nothing of how a call is configured or shown, and several may run in one process.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from livekit import rtc

from shared.dispatch.identity import ATTEMPT, CODE, KEY, OUTCOME, TYPED
from shared.local.call import CallOptions, CallResult, OnEvent, Step
from shared.local.exchange import Exchange, Sight, Taken
from shared.local.sound import Ear
from shared.local.transcripts import Line, Transcript

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

_LOOK_S = 1.0
_TICK_S = 0.02

T = TypeVar("T")


class Connection:
    """What every kind of caller does. How one talks is its own: `converse`, and what that needs."""

    typed: ClassVar = False
    """The caller writes and reads."""

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
        self._transcript = Transcript(self._on_line)
        self._dispatched = 0.0
        self._dispatch_id: str | None = None
        self._taken: Taken = "not known"
        self._answers: list[float] = []
        self._timed_out = False

    async def make(self) -> CallResult:
        """Make the call. It hangs up whatever happens, also when cancelled."""
        try:
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    await self.prepare()
                    await self._dial()
                    if self._sight.joined is not None:
                        await self.converse()
                if self._sight.gone.is_set():
                    self._on_event(Step("agent left"))
            except TimeoutError:
                self._timed_out = True
            await self._see_outcome()
        finally:
            await self._hang_up()
        return self._result()

    async def prepare(self) -> None:
        """Make ready what the call needs, before anybody is asked for anything."""

    async def open(self) -> None:
        """Bring the caller's voice into the room."""

    async def converse(self) -> None:
        """Talk until either side has had enough."""
        raise NotImplementedError

    async def close(self) -> None:
        """Take the caller's voice back."""

    async def _dial(self) -> None:
        """Join, open the microphone, dispatch, and wait for the agent."""
        self._sight.watch(self._room)
        self._room.on("track_subscribed", self._on_track)
        await self._exchange.join(
            self._room, self._name, self._identity, attributes=self._options.attributes
        )
        self._sight.begin(self._room)
        self._transcript.follow(self._room)
        await self.open()
        self._on_event(Step("in the room"))
        self._dispatched = time.monotonic()
        self._dispatch_id = await self._exchange.dispatch(
            self._name,
            self._options.agent,
            metadata=self._options.metadata,
            deployment=self._options.deployment,
            attributes={KEY: self._key, ATTEMPT: "1"} | ({TYPED: "1"} if self.typed else {}),
        )
        self._on_event(Step("dispatched"))
        await self._wait_for_agent(self._dispatch_id)

    async def _see_outcome(self) -> None:
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

    async def _hang_up(self) -> None:
        await self._leave()
        await self._transcript.close()
        await self._exchange.close()

    def _result(self) -> CallResult:
        first = self._ear.start_after(self._dispatched)
        return CallResult(
            room=self._name,
            dispatch_id=self._dispatch_id,
            agent_joined_s=self._since_dispatch(self._sight.joined),
            first_word_s=self._since_dispatch(first),
            answers_s=tuple(self._answers),
            transcript=tuple(self._transcript.lines()),
            outcome=self._sight.attribute(OUTCOME),
            code=self._sight.attribute(CODE),
            timed_out=self._timed_out,
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

    async def hear_out(self, since: float | None = None) -> bool:
        """Wait until the agent has said something after the caller's words, which ended at `since`, and is done, or was silent for too long.

        Without `since` it is the agent's first word. False: the agent has gone.
        """
        after = self._dispatched if since is None else since
        heard = False
        while True:
            gone = self._sight.gone.is_set()
            start = self._ear.start_after(after)
            if start is not None and not heard:
                heard = True
                took = round(start - after, 3)
                if since is not None:
                    self._answers.append(took)
                self._on_event(Step("first word" if since is None else "answer", took))
            if gone:
                return False
            quiet_since = max(self._ear.last or 0.0, self._sight.listening_since, after)
            if not self._sight.listening:
                limit = BUSY_PATIENCE_S
            else:
                limit = QUIET_S if heard else PATIENCE_S
            if time.monotonic() - quiet_since > limit:
                return True
            await asyncio.sleep(_TICK_S)

    async def unless_gone(self, doing: Coroutine[Any, Any, T]) -> T | None:
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
        await self.close()
        if self._room.isconnected():
            await self._room.disconnect()
            self._on_event(Step("hung up"))

    def _on_line(self, line: Line) -> None:
        self._on_event(line)

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
