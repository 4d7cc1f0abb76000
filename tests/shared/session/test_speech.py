"""First sentences: which are kept, and that those sound the same without a voice."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, tts

from shared.metadata.contract import CallMetadata
from shared.session.call import Call
from shared.session.speech import KEPT_S, MOST_KEPT, keep, read, speak_ahead
from tests.shared.session.calls import stage

RATE = 24000
SOUND = bytes(range(256)) * 120
GREETING = "Hello {{ user_name or 'there' }}."
NOBODY, ADA = CallMetadata(user_id="1"), CallMetadata(user_id="1", user_name="Ada")


class Voice:
    """Speaks a sentence as two frames, or gives up after the first; counts what it was asked for."""

    def __init__(self, *, fails: bool = False, breaks_off: bool = False) -> None:
        self.spoken = 0
        self._fails = fails
        self._breaks_off = breaks_off

    def stream(self) -> Voice:
        self.spoken += 1
        return self

    async def __aenter__(self) -> Voice:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def push_text(self, text: str) -> None: ...

    def end_input(self) -> None: ...

    async def __aiter__(self) -> AsyncIterator[Any]:
        half = len(SOUND) // 2
        yield SimpleNamespace(frame=rtc.AudioFrame(SOUND[:half], RATE, 1, half // 2))
        if self._fails:
            raise APIConnectionError
        if self._breaks_off:
            return
        yield SimpleNamespace(frame=rtc.AudioFrame(SOUND[half:], RATE, 1, half // 2))


async def say(call: Call, voice: Voice, folder: Path) -> bytes | None:
    """What is heard of the first sentence; returns when it is kept, if it is."""
    ahead = speak_ahead(call, cast(tts.TTS[Any], voice), folder)
    assert ahead is not None
    frames = await ahead.frames()
    sound = None if frames is None else b"".join([bytes(frame.data) async for frame in frames])
    await ahead._task
    return sound


async def test_a_sentence_without_the_caller_is_spoken_once(tmp_path: Path) -> None:
    """The next call with it needs no voice, and sounds the same."""
    with stage(tmp_path, NOBODY, greeting=GREETING) as on:
        first = await say(on.call, Voice(), tmp_path / "kept")
        silent = Voice(fails=True)
        assert first == SOUND == await say(on.call, silent, tmp_path / "kept")
        assert silent.spoken == 0


async def test_a_sentence_with_the_caller_is_not_kept(tmp_path: Path) -> None:
    """It is the caller's, and in no other call."""
    with stage(tmp_path, ADA, greeting=GREETING) as on:
        voice = Voice()
        assert await say(on.call, voice, tmp_path / "kept") == SOUND
        assert await say(on.call, voice, tmp_path / "kept") == SOUND
        assert voice.spoken == 2
        assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("fault", ["fails", "breaks_off"])
async def test_half_a_sentence_is_not_kept(tmp_path: Path, fault: str) -> None:
    """A voice that fails on its way, or ends too soon as if that were all, leaves nothing that later calls would hear."""
    with stage(tmp_path, NOBODY, greeting=GREETING) as on:
        await say(on.call, Voice(**{fault: True}), tmp_path / "kept")
        assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("spoiled", ["old", "cut", "other"])
async def test_what_cannot_be_used_is_spoken_again(tmp_path: Path, spoiled: str) -> None:
    """Kept too long ago, cut off, or no sound at all: then it is made anew and kept."""
    with stage(tmp_path, NOBODY, greeting=GREETING) as on:
        await say(on.call, Voice(), tmp_path / "kept")
        (path,) = (tmp_path / "kept").iterdir()
        if spoiled == "old":
            os.utime(path, (0, time.time() - KEPT_S - 1))
        else:
            path.write_bytes(path.read_bytes()[:20] if spoiled == "cut" else b"not a WAV file")
        voice = Voice()
        assert await say(on.call, voice, tmp_path / "kept") == SOUND
        assert voice.spoken == 1
        assert b"".join(bytes(frame.data) for frame in read(path)) == SOUND


def test_the_oldest_go_first(tmp_path: Path) -> None:
    """However many sentences there are, a folder holds so many of them."""
    frame = rtc.AudioFrame(b"\1\0", RATE, 1, 1)
    for number in range(MOST_KEPT + 1):
        path = tmp_path / f"{number}.wav"
        keep(path, [frame])
        os.utime(path, (number, number))
    keep(tmp_path / "new.wav", [frame])
    assert len(list(tmp_path.iterdir())) == MOST_KEPT
    assert not (tmp_path / "0.wav").exists()
    assert (tmp_path / "new.wav").exists()
