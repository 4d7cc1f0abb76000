"""Spanish for demonstrations, in a robot's voice: the espeak-ng that Piper's wheel brings for its phonemes can also speak.

There is one espeak-ng in a process, with one state, and Piper sets that to English whenever it speaks. So both must be used
in the same thread.
"""

import ctypes

import numpy as np
from numpy.typing import NDArray
from piper import espeakbridge
from piper.phonemize_espeak import ESPEAK_DATA_DIR

from shared.local.pcm import Speech

_WORDS_A_MINUTE = 175
_RATE = 1  # the parameter of that name
_UTF8_AND_END_PAUSE = 0x1001
_TAKE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.c_void_p
)


class Spanish:
    """Speaks Spanish."""

    def __init__(self) -> None:
        espeakbridge.initialize(str(ESPEAK_DATA_DIR))  # as Piper does before its first sentence
        self._espeak = ctypes.CDLL(espeakbridge.__file__)
        self._parts: list[NDArray[np.int16]] = []
        self._callback = _TAKE(self._take)  # kept, as C has only its address
        self._espeak.espeak_SetSynthCallback(self._callback)
        self._rate: int = self._espeak.espeak_ng_GetSampleRate()

    def speak(self, text: str, speed: float, volume: float) -> Speech:
        self._parts.clear()
        self._espeak.espeak_SetVoiceByName(b"es")
        self._espeak.espeak_SetParameter(_RATE, round(_WORDS_A_MINUTE * speed), 0)
        data = text.encode()
        size = ctypes.c_size_t(len(data) + 1)
        self._espeak.espeak_Synth(data, size, 0, 0, 0, _UTF8_AND_END_PAUSE, None, None)
        sound = np.concatenate([np.empty(0, np.int16), *self._parts]).astype(np.float32)
        sound = np.clip(sound * np.float32(volume / 32768), -1, 1)
        return Speech(self._rate, len(sound), iter([sound]))

    def _take(self, sound: "ctypes._Pointer[ctypes.c_int16]", length: int, _: int | None) -> int:
        if sound and length:
            self._parts.append(np.ctypeslib.as_array(sound, (length,)).copy())
        return 0
