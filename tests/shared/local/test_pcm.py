"""Sound as the wires carry it, checked against what the standards say."""

from typing import Any

import numpy as np
import pytest

from shared.local.pcm import ENCODINGS, Resampler, Samples, from_s16le

TONE: Samples = (0.7 * np.sin(np.arange(4000) * 2 * np.pi * 440 / 8000)).astype(np.float32)


def mulaw(coded: Any) -> Any:
    """G.711 mu-law by the book, to 16 bits."""
    bits = ~coded
    size = (((bits & 0x0F).astype(np.int32) << 3) + 132 << ((bits & 0x70) >> 4)) - 132
    return np.where(bits & 0x80, -size, size)


def alaw(coded: Any) -> Any:
    """G.711 A-law by the book, to 16 bits."""
    bits = coded ^ 0x55
    low, exponent = (bits & 0x0F).astype(np.int32) << 4, (bits & 0x70) >> 4
    size = np.where(exponent == 0, low + 8, low + 0x108 << np.maximum(exponent, 1) - 1)
    return np.where(bits & 0x80, size, -size)


@pytest.mark.parametrize(("encoding", "decode"), [("pcm_mulaw", mulaw), ("pcm_alaw", alaw)])
@pytest.mark.parametrize("volume", [1.0, 0.01])
def test_telephone_encodings(encoding: str, decode: Any, volume: float) -> None:
    """What G.711 makes of a tone, loud or soft, is the tone but for a few percent."""
    sound = volume * TONE
    decoded = decode(ENCODINGS[encoding](sound)) / 32768

    assert np.abs(decoded - sound).max() < 0.04 * volume


def test_pcm_there_and_back() -> None:
    """16-bit sound is the same sound again, and what is too loud is cut."""
    coded = ENCODINGS["pcm_s16le"](np.concatenate([TONE, np.array([2, -2], np.float32)]))
    assert np.abs(from_s16le(coded.tobytes())[:-2] - TONE).max() < 1e-4
    assert coded[-2:].tolist() == [32767, -32767]
    assert np.array_equal(np.frombuffer(ENCODINGS["pcm_f32le"](TONE).tobytes(), "<f4"), TONE)


@pytest.mark.parametrize(("source", "target"), [(8000, 16000), (22050, 24000), (48000, 16000)])
def test_resampling_has_no_seams(source: int, target: int) -> None:
    """A stream in pieces is the same as the whole, a tone stays a tone, and none of its time is lost."""
    tone = np.sin(np.arange(source) * 2 * np.pi * 440 / source).astype(np.float32)
    whole, pieces = Resampler(source, target), Resampler(source, target)
    made = np.concatenate([whole.push(tone), whole.flush()])
    cuts = np.split(tone, [1, 50, 51, 3000, 7000])
    parted = np.concatenate([*(pieces.push(cut) for cut in cuts), pieces.flush()])

    wanted = np.sin(np.arange(len(made)) * 2 * np.pi * 440 / target)
    assert np.abs(made - parted).max() < 1e-5
    assert len(made) == pytest.approx(target, abs=2)
    assert np.abs(made - wanted)[100:-100].max() < 0.01
