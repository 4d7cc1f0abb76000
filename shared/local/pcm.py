"""Sound as the providers' wires carry it: sample rates and encodings."""

import struct
from collections.abc import Callable, Iterator
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono sound, -1 to 1."""


class Speech(NamedTuple):
    """A phrase that is spoken.

    Attributes:
        rate: Samples per second.
        length: Samples in all.
        pieces: The sound, made as it is taken.
    """

    rate: int
    length: int
    pieces: Iterator[Samples]


_REACH = 16
"""Samples of the lower rate that the filter looks to each side: no audible aliasing, 1-2 ms of sound held back."""


class Resampler:
    """Changes the sample rate of a stream, piece by piece, without a seam between the pieces."""

    def __init__(self, source: int, target: int) -> None:
        shared = gcd(source, target)
        self._up, self._down = target // shared, source // shared
        self._taps = _taps(self._up, self._down)
        self._width = self._taps.shape[1]
        self._pending: Samples = np.zeros(self._width // 2 - 1, np.float32)
        self._phase = 0

    def push(self, piece: Samples) -> Samples:
        """What can be said of the new rate so far. The last milliseconds come with the next piece."""
        if self._up == self._down:
            return piece
        sound = np.concatenate([self._pending, piece])
        room = len(sound) - self._width
        if room < 0:
            self._pending = sound
            return np.empty(0, np.float32)
        last = (room * self._up + self._up - 1 - self._phase) // self._down
        spots = self._phase + np.arange(last + 1) * self._down
        starts, phases = np.divmod(spots, self._up)
        windows = np.lib.stride_tricks.sliding_window_view(sound, self._width)
        made: Samples = np.empty(len(spots), np.float32)
        for phase in range(min(self._up, len(spots))):  # every `up`-th sample has the same taps
            made[phase :: self._up] = windows[starts[phase :: self._up]] @ self._taps[phases[phase]]
        behind, self._phase = divmod(self._phase + len(spots) * self._down, self._up)
        self._pending = sound[behind:]
        return made

    def flush(self) -> Samples:
        """The rest of the stream."""
        if self._up == self._down:
            return np.empty(0, np.float32)
        return self.push(np.zeros(self._width // 2, np.float32))


def _taps(up: int, down: int) -> Samples:
    """One row of filter taps for each place that a new sample may have between two old ones: a windowed sinc."""
    cutoff = min(1.0, up / down)
    half = int(np.ceil(_REACH / cutoff))
    places = np.arange(1 - half, half + 1)[None, :] - np.arange(up)[:, None] / up
    window = np.cos(np.pi / 2 * np.clip(places / half, -1, 1)) ** 2
    taps = np.sinc(places * cutoff) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), dtype=np.float32)


def from_s16le(data: bytes) -> Samples:
    sound: Samples = np.frombuffer(data, "<i2").astype(np.float32)
    return sound * np.float32(1 / 32768)


def _s16(sound: Samples) -> NDArray[np.int16]:
    return np.asarray(np.rint(np.clip(sound, -1, 1) * 32767), dtype="<i2")


def _mulaw(sound: Samples) -> NDArray[np.uint8]:
    """G.711 mu-law."""
    linear = _s16(sound).astype(np.int32)
    size = np.minimum(np.abs(linear), 32635) + 132
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    coded = (exponent << 4) | ((size >> (exponent + 3)) & 0x0F)
    return np.asarray(~np.where(linear < 0, coded | 0x80, coded) & 0xFF, dtype=np.uint8)


def _alaw(sound: Samples) -> NDArray[np.uint8]:
    """G.711 A-law."""
    linear = _s16(sound).astype(np.int32) >> 3
    size = np.where(linear < 0, -linear - 1, linear)
    exponent = np.maximum(np.floor(np.log2(np.maximum(size, 1))).astype(np.int32) - 4, 0)
    coded = (exponent << 4) | ((size >> np.maximum(exponent, 1)) & 0x0F)
    return np.asarray(np.where(linear < 0, coded, coded | 0x80) ^ 0x55, dtype=np.uint8)


ENCODINGS: dict[str, Callable[[Samples], NDArray[Any]]] = {
    "pcm_s16le": _s16,
    "pcm_f32le": lambda sound: sound.astype("<f4"),
    "pcm_mulaw": _mulaw,
    "pcm_alaw": _alaw,
}
"""Cartesia's names for raw sound."""


_WAV_KINDS = {"pcm_s16le": (1, 2), "pcm_f32le": (3, 4), "pcm_mulaw": (7, 1), "pcm_alaw": (6, 1)}


def wav_header(encoding: str, rate: int) -> bytes:
    """The start of a WAV file of unknown length: the sizes in it are as large as they can be."""
    kind, width = _WAV_KINDS[encoding]
    layout = struct.pack("<HHIIHH", kind, 1, rate, rate * width, width, 8 * width)
    endless = 0xFFFFFFFF
    head = struct.pack("<4sI4s4sI", b"RIFF", endless, b"WAVE", b"fmt ", len(layout))
    return head + layout + struct.pack("<4sI", b"data", endless)
