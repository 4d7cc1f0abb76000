"""What has been heard of a turn that is going on: its sound, which of it is speech, its words so far."""

import asyncio
from typing import NamedTuple

import numpy as np

from shared.local.pcm import Samples
from shared.local.voice import HEARING_RATE

FRAME = 512
FRAME_S = FRAME / HEARING_RATE
LEAD, _TAIL, _EDGE = 12, 4, 2
"""Frames of quiet that Moonshine gets before and after the speech, and those next to speech in which a soft sound may be left. The
rest of every pause is made silent. So it loses or repeats the fewest digits, however long the pause was."""
CONFIRMED = 3
"""Frames of speech that start a turn, or resume one after a pause. A click is shorter."""
_LAG_S = 0.07
"""How long the detector still hears speech after its end."""


class Word(NamedTuple):
    text: str
    start: float
    end: float


class Utterance:
    """What is known of the turn that is going on."""

    def __init__(self, frames: list[Samples], position: int) -> None:
        self.frames = frames
        """Sound that is not settled yet."""
        self.voiced = [False] * (len(frames) - CONFIRMED) + [True] * CONFIRMED
        """Which of them are speech."""
        self.start = position - len(frames)
        self.speech_start = position - CONFIRMED
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
        return self.silence * FRAME_S + _LAG_S if self.silence else 0.0

    def sound(self) -> Samples:
        """What is to be recognised."""
        spoken = np.flatnonzero(self.voiced)
        if not len(spoken):
            return np.empty(0, np.float32)
        first, last = int(spoken[0]), int(spoken[-1])
        near = np.convolve(self.voiced, np.ones(2 * _EDGE + 1), "same") > 0
        quiet = np.zeros(FRAME, np.float32)
        begin, end = max(0, first - _EDGE), min(len(self.frames), last + 1 + _EDGE)
        return np.concatenate(
            [quiet] * (LEAD - (first - begin))
            + [self.frames[at] if near[at] else quiet for at in range(begin, end)]
            + [quiet] * (_TAIL - (end - 1 - last))
        )

    def words(self) -> list[Word]:
        """The words, spread over the speech by their length: the engine gives no times."""
        texts = self.text.split()
        start, end = self.speech_start * FRAME_S, self.speech_end * FRAME_S
        ends = np.cumsum([len(text) + 1 for text in texts])
        times = [start, *(start + (end - start) * ends / ends[-1])] if texts else []
        return [
            Word(text, round(float(times[at]), 3), round(float(times[at + 1]), 3))
            for at, text in enumerate(texts)
        ]
