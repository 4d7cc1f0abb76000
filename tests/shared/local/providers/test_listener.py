"""How turns are made of sound, where the wire does not show it: what is given to recognition, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from shared.local import listener as listener_module
from shared.local.listener import Listener, TurnEvent
from shared.local.pcm import Samples, from_s16le
from shared.local.turns import Thresholds, confidence
from shared.local.voice import HEARING_RATE, Voice
from tests.shared.local.providers.client import Sound
from tests.spoken import plain

BOOKING = "I would like to book a table for four people."
DELIVERY = "My parcel has not arrived yet."
QUESTION = "Can you tell me when it will come?"


class Gated(Voice):
    """The real engine, held up at will. Keeps what it was asked to recognise."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice._transcriber, voice._english, voice._spanish)
        self.asked: list[Samples] = []
        self.open = asyncio.Event()
        self.open.set()

    async def recognise(self, sound: Samples) -> str:
        self.asked.append(sound)
        self._heard_next += 1
        await self.open.wait()
        self._heard_next -= 1
        return await super().recognise(sound)


@pytest.fixture
async def gated(voice: Voice) -> AsyncIterator[Gated]:
    made = Gated(voice)
    yield made
    made.close()


@asynccontextmanager
async def listening(
    voice: Voice, thresholds: Thresholds
) -> AsyncIterator[tuple[Listener, list[TurnEvent]]]:
    """A listener and what it reports."""
    events: list[TurnEvent] = []

    async def report(event: TurnEvent) -> None:
        events.append(event)

    listener = Listener(voice, thresholds, report)
    yield listener, events
    listener.close()


def holds(sound: Samples, part: Samples) -> bool:
    """Whether `part` is somewhere in `sound`, sample by sample."""
    windows = np.lib.stride_tricks.sliding_window_view(sound, len(part))
    return bool(
        (np.abs(windows[:, :: len(part) // 50] - part[:: len(part) // 50]).max(1) < 1e-4).any()
    )


@pytest.mark.parametrize("pause", [0.22, 0.24])
async def test_no_sound_is_lost_after_the_end_of_a_turn(
    gated: Gated, spoken: Sound, pause: float
) -> None:
    """Who goes on just after the end of a turn is heard from the first sound on."""
    async with listening(gated, Thresholds(eot=0.5)) as (listener, events):
        await listener.hear(from_s16le(spoken(0.3, DELIVERY, pause, QUESTION, 1.0)))

    assert [event.event for event in events].count("EndOfTurn") == 2
    assert holds(gated.asked[-1], from_s16le(spoken(QUESTION))[: HEARING_RATE // 2])


async def test_interims_never_wait_in_line(
    gated: Gated, spoken: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the engine is busy no further interim is asked for: the end of the turn is next in line."""
    monkeypatch.setattr(listener_module, "_UPDATE_S", 0.0)  # updates by the sound alone
    began, ended = spoken(0.3, BOOKING), spoken(QUESTION, DELIVERY)
    async with listening(gated, Thresholds(eot=1.0)) as (listener, events):
        await listener.hear(from_s16le(began))
        assert events[0].event == "StartOfTurn"
        gated.open.clear()
        before = len(gated.asked)
        for piece in np.array_split(from_s16le(ended), 80):
            await listener.hear(piece)
            await asyncio.sleep(0)
        waiting = gated.asked[before:]
        gated.open.set()
        await listener.end_turn()

    updates = [event for event in events if event.event == "Update"]
    assert len(updates) > 4
    assert len(waiting) <= 3  # one interim, and one at each pause between the sentences
    assert plain(events[-1].transcript) == plain(f"{BOOKING} {QUESTION} {DELIVERY}")


async def test_a_long_turn_is_recognised_in_parts(gated: Gated, spoken: Sound) -> None:
    """Nobody asks the engine for more than it is good for, and the text is still whole."""
    once = (BOOKING, 0.3, QUESTION, 0.3, DELIVERY, 0.3)
    async with listening(gated, Thresholds(eot=1.0)) as (listener, events):
        await listener.hear(from_s16le(spoken(0.3, *once, *once, BOOKING, 0.3)))
        await listener.end_turn()

    assert len(gated.asked[-1]) < 8 * HEARING_RATE
    words = plain(events[-1].transcript).split()
    assert [words.count(word) for word in ("table", "come", "parcel")] == [3, 2, 2]


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        pytest.param("My order has not arrived.", False, id="a sentence"),
        pytest.param("My name is", True, id="a word that wants more"),
        pytest.param("It is five one zero, five five five", True, id="six digits"),
        pytest.param("It is 510 555", True, id="six digits in figures"),
        pytest.param("It is five one zero five five five zero one four two", False, id="ten digits"),
        pytest.param("Table for four", False, id="one digit"),
        pytest.param("five five five double two", True, id="a repeat"),
    ],
)  # fmt: skip
def test_unfinished_words_wait_longer(text: str, waits: bool) -> None:
    """After words that want more the same silence says less."""
    assert (confidence(0.5, text) < 0.6) is waits


def test_no_silence_is_sure() -> None:
    """A threshold of one is never reached: only a timeout or the client ends such a turn."""
    assert confidence(60.0, "Yes.") < 1.0
