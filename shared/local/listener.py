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
from shared.local.voice import HEARING_RATE, Voice, as_hearing

EventName = Literal["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]
Trigger = Literal["model", "timeout", "manual"]

_FRAME = 512
_FRAME_S = _FRAME / HEARING_RATE
_SPEECH, _STILL_SPEECH = 0.5, 0.35
_LEAD, _TAIL, _EDGE = 12, 4, 2
"""Frames of quiet that Moonshine gets before and after the speech, and those next to speech in which a soft sound may be left. The
rest of every pause is made silent. So it loses or repeats the fewest digits, however long the pause was."""
_CONFIRMED = 3
"""Frames of speech that start a turn, or resume one after a pause. A click is shorter."""
_PAUSE = 2
"""Frames of silence that make a pause."""
_LAG_S = 0.07
"""How long the detector still hears speech after its end."""
_TRY = 5
"""Frames of speech after which the first words are looked for."""
_UPDATE = 8
"""Frames from one Update to the next: a quarter of a second."""
_UPDATE_S = 0.2
"""The same by the clock, for clients that send faster than speech."""
_LONG, _TOO_LONG = 375, 625
"""Frames after which recognition starts anew, at the next pause or at once: Moonshine is good for some 20 s."""


class Word(NamedTuple):
    text: str
    start: float
    end: float


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


class _Turn:
    """What is known of the turn that is going on."""

    def __init__(self, frames: list[Samples], position: int) -> None:
        self.frames = frames
        """Sound that is not settled yet."""
        self.voiced = [False] * (len(frames) - _CONFIRMED) + [True] * _CONFIRMED
        """Which of them are speech."""
        self.start = position - len(frames)
        self.speech_start = position - _CONFIRMED
        self.speech_end = self.speech_start
        self.settled = ""
        """Text of earlier sound of this turn."""
        self.text = ""
        self.silence = 0
        self.pause: asyncio.Task[str] | None = None
        self.judged = False
        """Whether `text` is that of the present pause."""
        self.eager = False
        self.tries = 0

    @property
    def silence_s(self) -> float:
        return self.silence * _FRAME_S + _LAG_S if self.silence else 0.0

    def sound(self) -> Samples:
        """What is to be recognised."""
        spoken = np.flatnonzero(self.voiced)
        if not len(spoken):
            return np.empty(0, np.float32)
        first, last = int(spoken[0]), int(spoken[-1])
        near = np.convolve(self.voiced, np.ones(2 * _EDGE + 1), "same") > 0
        quiet = np.zeros(_FRAME, np.float32)
        begin, end = max(0, first - _EDGE), min(len(self.frames), last + 1 + _EDGE)
        return np.concatenate(
            [quiet] * (_LEAD - (first - begin))
            + [self.frames[at] if near[at] else quiet for at in range(begin, end)]
            + [quiet] * (_TAIL - (end - 1 - last))
        )

    def words(self) -> list[Word]:
        """The words, spread over the speech by their length: the engine gives no times."""
        texts = self.text.split()
        start, end = self.speech_start * _FRAME_S, self.speech_end * _FRAME_S
        ends = np.cumsum([len(text) + 1 for text in texts])
        times = [start, *(start + (end - start) * ends / ends[-1])] if texts else []
        return [
            Word(text, round(float(times[at]), 3), round(float(times[at + 1]), 3))
            for at, text in enumerate(texts)
        ]


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
        self._before: deque[Samples] = deque(maxlen=_LEAD)
        self._speech_run = 0
        self._turn: _Turn | None = None
        self._index = 0
        self._since_event = 0
        self._update_at = 0.0
        self._interim: asyncio.Task[None] | None = None
        self._interim_at = 0.0

    async def hear(self, sound: Samples) -> None:
        """Take the next piece of the stream. Returns late when a decision waits for recognition: the stream waits with it."""
        sound = np.concatenate([self._rest, sound])
        whole = len(sound) // _FRAME * _FRAME
        self._rest = sound[whole:]
        for frame in sound[:whole].reshape(-1, _FRAME):
            await self._hear_frame(frame)

    async def end_turn(self, trigger: Trigger) -> None:
        """End the turn that is going on, if it has words."""
        turn = self._turn
        if turn is None:
            return
        turn.pause = turn.pause or self._recognise(turn)
        if await self._settle_pause(turn):
            await self._end(turn, trigger, confidence(turn.silence_s, turn.text))

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
            if self._speech_run == _CONFIRMED:
                self._turn = _Turn(list(self._before), self._position)
            return
        turn.frames.append(frame)
        turn.voiced.append(self._speech_run > 0)
        if self._speech_run >= (_CONFIRMED if turn.silence >= _PAUSE else 1):
            await self._speech(turn)
        else:
            turn.silence += 1
            await self._silence(turn)

    async def _speech(self, turn: _Turn) -> None:
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

    async def _silence(self, turn: _Turn) -> None:
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

    async def _settle_pause(self, turn: _Turn) -> bool:
        """Know the text of a pause. A turn without words was noise and is forgotten."""
        if turn.pause is not None:
            had_words = bool(turn.text)
            turn.text = await turn.pause or turn.text
            turn.pause, turn.judged = None, True
            if turn.text and not had_words:
                await self._started(turn)
        if not turn.text:
            self._turn = None
            self._before.clear()
        return bool(turn.text)

    async def _resume(self, turn: _Turn) -> None:
        if turn.eager:
            turn.eager = False
            await self._tell("TurnResumed", turn, 0.0)
        if turn.pause is not None and len(turn.frames) > _LONG:
            turn.text, turn.judged = await turn.pause or turn.text, True
        turn.pause = None
        if turn.judged and len(turn.frames) > _LONG:
            await self._settle(turn, turn.text)
        turn.judged = False

    async def _settle(self, turn: _Turn, text: str) -> None:
        """Take text as final and recognise only what follows."""
        turn.settled = turn.text = text
        turn.frames = turn.frames[-self._speech_run :]
        turn.voiced = turn.voiced[-self._speech_run :]

    async def _started(self, turn: _Turn) -> None:
        if turn.text:
            await self._tell("StartOfTurn", turn, confidence(turn.silence_s, turn.text))

    async def _end(self, turn: _Turn, trigger: Trigger, sure: float) -> None:
        await self._tell("EndOfTurn", turn, sure, trigger)
        self._turn = None
        self._index += 1
        self._before.clear()
        self._speech_run = 0

    async def _update(self, turn: _Turn) -> None:
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

    async def _hear_interim(self, turn: _Turn) -> None:
        """Refresh the text while the caller speaks, at most a third of the time: ends of turns come first."""
        began, settled = self._clock(), turn.settled
        text = await self._recognise(turn)
        self._interim_at = self._clock() + 2 * (self._clock() - began)
        if text and turn.silence == 0 and turn.settled == settled:
            turn.text = text

    def _recognise(self, turn: _Turn) -> asyncio.Task[str]:
        return asyncio.create_task(self._text(turn.settled, turn.sound()))

    async def _text(self, settled: str, sound: Samples) -> str:
        return f"{settled} {await self._voice.recognise(sound)}".strip()

    async def _tell(
        self, event: EventName, turn: _Turn, sure: float, trigger: Trigger | None = None
    ) -> None:
        self._since_event = 0
        self._update_at = self._clock() + _UPDATE_S
        start, end = turn.start * _FRAME_S, self._position * _FRAME_S
        await self._report(TurnEvent(event, self._index, start, end, turn.words(), sure, trigger))
