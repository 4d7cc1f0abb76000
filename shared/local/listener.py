"""Turns out of sound: what Flux does between the bytes it gets and the events it sends.

Silero says every 32 ms whether there is speech. Speech that also has words starts a turn, so noise never does. At each pause the
turn's sound is recognised once, and `turns.confidence` of silence and text decides. Everything is counted in the sound's own time:
a client that sends faster than speech gets the same turns.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

import numpy as np
from livekit.local_inference import VAD

from shared.local.pcm import Samples
from shared.local.turns import Thresholds, confidence
from shared.local.utterance import CONFIRMED, FRAME, FRAME_S, LEAD, Utterance, Word
from shared.local.voice import Voice, as_hearing

EventName = Literal["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]
Trigger = Literal["model", "timeout", "manual"]

_SPEECH, _STILL_SPEECH = 0.5, 0.35
_PAUSE = 2
"""Frames of silence that make a pause."""
_TRY = 5
"""Frames of speech after which the first words are looked for."""
_UPDATE = 8
"""Frames from one Update to the next: a quarter of a second."""
_UPDATE_S = 0.2
"""The same by the clock, for clients that send faster than speech."""
_LONG, _TOO_LONG = 375, 625
"""Frames after which recognition starts anew, at the next pause or at once: Moonshine is good for some 20 s."""


class TurnEvent(NamedTuple):
    """One change of a turn, times in seconds since the stream began."""

    event: EventName
    turn: int
    start: float
    end: float
    words: list[Word]
    confidence: float
    trigger: Trigger | None = None

    @property
    def transcript(self) -> str:
        return " ".join(word.text for word in self.words)


class Listener:
    """Hears one stream of `HEARING_RATE` and reports its turns, in order, to `report`."""

    def __init__(
        self,
        voice: Voice,
        thresholds: Thresholds,
        report: Callable[[TurnEvent], Awaitable[None]],
    ) -> None:
        self.thresholds = thresholds
        self._voice = voice
        self._report = report
        self._vad = VAD()
        self._clock = asyncio.get_running_loop().time
        self._rest: Samples = np.empty(0, np.float32)
        self._position = 0
        self._before: deque[Samples] = deque(maxlen=LEAD)
        self._speech_run = 0
        self._turn: Utterance | None = None
        self._index = 0
        self._since_event = 0
        self._update_at = 0.0
        self._interim: asyncio.Task[None] | None = None
        self._interim_at = 0.0

    async def hear(self, sound: Samples) -> None:
        """Take the next piece of the stream. Returns late when a decision waits for recognition: the stream waits with it."""
        sound = np.concatenate([self._rest, sound])
        whole = len(sound) // FRAME * FRAME
        self._rest = sound[whole:]
        for frame in sound[:whole].reshape(-1, FRAME):
            await self._hear_frame(frame)

    @property
    def position_s(self) -> float:
        """Seconds of sound heard so far."""
        return self._position * FRAME_S

    @property
    def in_turn(self) -> bool:
        """Whether there is speech, or what may become a turn."""
        return self._turn is not None

    async def end_turn(self) -> None:
        """End the turn that is going on, if it has words: the client says so."""
        if (turn := self._turn) is not None and await self._catch_up(turn):
            await self._end(turn, "manual", confidence(turn.silence_s, turn.text))

    async def show(self) -> None:
        """Report all words of the turn that is going on, and leave it open."""
        if (turn := self._turn) is not None and await self._catch_up(turn):
            await self._tell("Update", turn, confidence(turn.silence_s, turn.text))

    async def _catch_up(self, turn: Utterance) -> bool:
        """Know the text up to now."""
        if not turn.judged and turn.pause is None:
            turn.pause = self._recognise(turn)
        return await self._settle_pause(turn)

    def close(self) -> None:
        for task in (self._interim, self._turn.pause if self._turn else None):
            if task is not None:
                task.cancel()
        self._vad.close()

    async def _hear_frame(self, frame: Samples) -> None:
        self._position += 1
        self._since_event += 1
        turn = self._turn
        speaking = turn is not None and turn.silence == 0
        likely = self._vad.predict(as_hearing(frame))
        self._speech_run = (
            self._speech_run + 1 if likely >= (_STILL_SPEECH if speaking else _SPEECH) else 0
        )
        if turn is None:
            self._before.append(frame)
            if self._speech_run == CONFIRMED:
                self._turn = Utterance(list(self._before), self._position)
            return
        turn.frames.append(frame)
        turn.voiced.append(self._speech_run > 0)
        if self._speech_run >= (CONFIRMED if turn.silence >= _PAUSE else 1):
            await self._speech(turn)
        else:
            turn.silence += 1
            await self._silence(turn)

    async def _speech(self, turn: Utterance) -> None:
        if turn.silence:
            await self._resume(turn)
        turn.silence = 0
        turn.speech_end = self._position
        if len(turn.frames) > _TOO_LONG:
            await self._settle(turn, await self._recognise(turn))
        if not turn.text:
            turn.tries += 1
            if turn.tries % _TRY == 0:
                turn.text = await self._recognise(turn)
                await self._started(turn)
        else:
            await self._update(turn)

    async def _silence(self, turn: Utterance) -> None:
        if turn.silence < _PAUSE:
            return
        if turn.silence == _PAUSE:
            turn.pause, turn.judged = self._recognise(turn), False
        silence_s = turn.silence_s
        limits = self.thresholds
        overdue = silence_s * 1000 >= limits.timeout_ms
        if confidence(silence_s, "") >= limits.first or overdue:
            if not await self._settle_pause(turn):
                return
            sure = confidence(silence_s, turn.text)
            if sure >= limits.eot or overdue:
                await self._end(turn, "model" if sure >= limits.eot else "timeout", sure)
                return
            if limits.eager is not None and sure >= limits.eager and not turn.eager:
                turn.eager = True
                await self._tell("EagerEndOfTurn", turn, sure)
                return
        if turn.text and not turn.eager:
            await self._update(turn)

    async def _settle_pause(self, turn: Utterance) -> bool:
        """Know the text of a pause. A turn without words was noise and is forgotten."""
        if turn.pause is not None:
            had_words = bool(turn.text)
            turn.text = await turn.pause or turn.text
            turn.pause, turn.judged = None, True
            if turn.text and not had_words:
                await self._started(turn)
        if not turn.text:
            self._forget(turn)
        return bool(turn.text)

    async def _resume(self, turn: Utterance) -> None:
        if turn.eager:
            turn.eager = False
            await self._tell("TurnResumed", turn, 0.0)
        if turn.pause is not None and len(turn.frames) > _LONG:
            turn.text, turn.judged = await turn.pause or turn.text, True
        turn.pause = None
        if turn.judged and len(turn.frames) > _LONG:
            await self._settle(turn, turn.text)
        turn.judged = False

    async def _settle(self, turn: Utterance, text: str) -> None:
        """Take text as final and recognise only what follows."""
        turn.settled = turn.text = text
        turn.frames = turn.frames[-self._speech_run :]
        turn.voiced = turn.voiced[-self._speech_run :]

    async def _started(self, turn: Utterance) -> None:
        if turn.text:
            await self._tell("StartOfTurn", turn, confidence(turn.silence_s, turn.text))

    async def _end(self, turn: Utterance, trigger: Trigger, sure: float) -> None:
        await self._tell("EndOfTurn", turn, sure, trigger)
        self._index += 1
        self._forget(turn)

    def _forget(self, turn: Utterance) -> None:
        """Be ready for the next turn: the silence so far may hold its first sound."""
        self._turn = None
        self._before.clear()
        self._before.extend(turn.frames[len(turn.frames) - turn.silence :])
        self._speech_run = 0

    async def _update(self, turn: Utterance) -> None:
        """An interim every quarter of a second, with the newest text there is."""
        if self._since_event < _UPDATE or self._clock() < self._update_at:
            return
        await self._tell("Update", turn, confidence(turn.silence_s, turn.text))
        free = self._interim is None or self._interim.done()
        if (
            turn.silence == 0
            and free
            and not self._voice.behind
            and self._clock() >= self._interim_at
        ):
            self._interim = asyncio.create_task(self._hear_interim(turn))

    async def _hear_interim(self, turn: Utterance) -> None:
        """Refresh the text while the caller speaks, at most a third of the time: ends of turns come first."""
        began, settled = self._clock(), turn.settled
        text = await self._recognise(turn)
        self._interim_at = self._clock() + 2 * (self._clock() - began)
        if text and turn.silence == 0 and turn.settled == settled:
            turn.text = text

    def _recognise(self, turn: Utterance) -> asyncio.Task[str]:
        return asyncio.create_task(self._text(turn.settled, turn.sound()))

    async def _text(self, settled: str, sound: Samples) -> str:
        return f"{settled} {await self._voice.recognise(sound)}".strip()

    async def _tell(
        self, event: EventName, turn: Utterance, sure: float, trigger: Trigger | None = None
    ) -> None:
        self._since_event = 0
        self._update_at = self._clock() + _UPDATE_S
        start, end = turn.start * FRAME_S, self._position * FRAME_S
        await self._report(TurnEvent(event, self._index, start, end, turn.words(), sure, trigger))
