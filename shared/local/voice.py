"""The engines behind the stand-ins: Moonshine hears, Piper speaks (espeak-ng where it is Spanish), Silero tells speech from noise.

All calls share one copy of each, and each engine has one worker thread: Piper uses both cores of a small machine itself, and Moonshine
is quicker with one, so a second worker would only make every call slower. Nothing is kept from one call for another.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import structlog
from aiohttp import web
from livekit.local_inference import init_vad
from moonshine_voice import ModelArch, get_model_path
from moonshine_voice.transcriber import Transcriber

from shared.local.english import English
from shared.local.pcm import Samples, Speech
from shared.local.spanish import Spanish

log = structlog.get_logger(__name__)

HEARING_RATE = 16000
"""Samples per second that recognition wants."""

_LETTERS = re.compile(r"\w")
_OLD_SPELLING = re.compile(r"\b(to)-(day|morrow|night)\b", re.IGNORECASE)
_INVENTED = re.compile(r"you\W*", re.IGNORECASE)
_INVENTED_WITHIN_S = 1.5

T = TypeVar("T")


class Voice:
    """Recognises English; speaks it, and Spanish."""

    def __init__(self, transcriber: Transcriber, english: English, spanish: Spanish) -> None:
        self._transcriber = transcriber
        self._english = english
        self._spanish = spanish
        self._unspoken: set[str] = set()
        self._hearing = ThreadPoolExecutor(1, "hearing")
        self._speaking = ThreadPoolExecutor(1, "speaking")
        self._heard_next = 0

    @classmethod
    def load(cls) -> "Voice":
        """Read the models, about a second, and use each once: a first use costs more than any later one."""
        # Its second thread waits for work by spinning: twice the processor time, and three times as slow beside anything else.
        os.environ["MOONSHINE_ORT_SINGLE_THREAD"] = "1"  # noqa: TID251  the engine has no other switch
        # its own voice detector cuts numbers that are read in groups
        transcriber = Transcriber(
            get_model_path("tiny-en"), ModelArch.TINY, options={"vad_threshold": "0"}
        )
        init_vad()
        voice = cls(transcriber, English(), Spanish())
        speech = voice._english.speak("Good morning.")
        voice._transcribe(np.concatenate([*speech.pieces]), speech.rate)
        return voice

    def close(self) -> None:
        """Let go of what waits for an engine."""
        self._hearing.shutdown(wait=False, cancel_futures=True)
        self._speaking.shutdown(wait=False, cancel_futures=True)

    @property
    def behind(self) -> bool:
        """Whether somebody waits for recognition or has it: the moment to leave out what is not needed."""
        return self._heard_next > 0

    async def recognise(self, sound: Samples) -> str:
        """The words in sound of `HEARING_RATE`; empty for silence and noise."""
        self._heard_next += 1
        try:
            return await _run(self._hearing, lambda: self._transcribe(sound, HEARING_RATE))
        finally:
            self._heard_next -= 1

    async def speak(
        self, text: str, *, language: str | None = None, speed: float = 1.0, volume: float = 1.0
    ) -> Speech:
        """Begin to speak a phrase: Spanish as Spanish, any other language as if it were English. Take its pieces from `pieces`."""
        if language == "es":
            return await _run(self._speaking, lambda: self._spanish.speak(text, speed, volume))
        if language and language not in {"en", *self._unspoken}:
            self._unspoken.add(language)
            log.warning("only English and Spanish are spoken here", language=language)
        return await _run(self._speaking, lambda: self._english.speak(text, speed, volume))

    async def pieces(self, speech: Speech) -> AsyncIterator[Samples]:
        """The sound of a phrase, as soon as it is made. Other calls' pieces are made between."""
        while (piece := await _run(self._speaking, lambda: next(speech.pieces, None))) is not None:
            yield piece

    def _transcribe(self, sound: Samples, rate: int) -> str:
        lines = self._transcriber.transcribe_without_streaming(sound.tolist(), rate).lines
        text = " ".join(" ".join(line.text for line in lines).split())
        if len(sound) < _INVENTED_WITHIN_S * rate and _INVENTED.fullmatch(text):
            return ""  # what Moonshine makes of silence, noise and clicks
        return _OLD_SPELLING.sub(r"\1\2", text) if _LETTERS.search(text) else ""


async def _run(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, work)


VOICE = web.AppKey("voice", Voice)


def as_hearing(samples: Samples) -> Any:
    """Sound as the speech detector takes it."""
    return np.asarray(np.clip(samples, -1, 1) * 32767, dtype=np.int16)
