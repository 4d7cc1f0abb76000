"""Deepgram's Flux as its own SDK and LiveKit's unpatched plugin use it, over real sockets, with real speech."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import numpy as np
import pytest
from deepgram.core.api_error import ApiError
from deepgram.listen.v2 import types
from livekit.agents.stt import SpeechEventType
from livekit.plugins.deepgram import STTv2

from shared.local import listener
from shared.local.voice import HEARING_RATE
from tests.shared.local.providers.client import KEY, Socket, Sound, deepgram, frames, opened
from tests.spoken import plain

BOOKING = "I would like to book a table for four people."
DELIVERY = "My parcel has not arrived yet."
QUESTION = "Can you tell me when it will come?"
RAW: dict[str, Any] = {
    "model": "flux-general-en",
    "encoding": "linear16",
    "sample_rate": HEARING_RATE,
}
QUERY = {name: str(value) for name, value in RAW.items()}


def flux(url: str, **options: Any) -> Any:
    """A socket that the SDK opened."""
    return opened(
        deepgram(url).listen.v2.connect(**{**RAW, **options}),
        types.ListenV2Connected,
        types.ListenV2TurnInfo,
        types.ListenV2ConfigureSuccess,
        types.ListenV2ConfigureFailure,
        types.ListenV2FatalError,
    )


async def turn(socket: Socket) -> list[Any]:
    """The events of a turn, to its end."""
    heard = await socket.until(event="EndOfTurn")
    return [frame for frame in heard if frame.type == "TurnInfo"]


async def end(url: str, sound: bytes, **options: Any) -> Any:
    """The end of the first turn in this sound."""
    async with flux(url, **options) as socket:
        await socket.send(sound)
        return (await turn(socket))[-1]


async def test_speech_becomes_text(url: str, spoken: Sound) -> None:
    """What Piper says is what the end of the turn holds, with the times of its words inside the speech."""
    sound = spoken(0.5, BOOKING, 1.5)

    ended = await end(url, sound)

    assert plain(ended.transcript) == plain(BOOKING)
    assert " ".join(word.word for word in ended.words) == ended.transcript
    times = [time for word in ended.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0.4 < times[0] < times[-1] < len(sound) / (2 * HEARING_RATE) - 1.3
    assert ended.audio_window_start <= times[0] < times[-1] <= ended.audio_window_end


async def test_events_come_in_the_order_that_is_documented(
    url: str, spoken: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause is an eager end, more speech resumes the turn, updates come while it goes on, and numbers count them all."""
    monkeypatch.setattr(listener, "_UPDATE_S", 0.0)  # updates by the sound alone: it comes fast
    async with flux(url, eager_eot_threshold=0.4, eot_threshold=0.9) as socket:
        await socket.send(spoken(0.3, BOOKING, 0.5, QUESTION, 1.5))
        heard = await socket.until(event="EndOfTurn")

    connected, *turns = heard
    assert connected.type == "Connected"
    assert [frame.sequence_id for frame in heard] == list(range(len(heard)))
    assert {frame.request_id for frame in heard} == {connected.request_id}
    assert re.fullmatch(
        "StartOfTurn( Update)+ EagerEndOfTurn TurnResumed( Update)+ EagerEndOfTurn EndOfTurn",
        " ".join(event.event for event in turns),
    )
    eager, ended = turns[-2:]
    assert ended.transcript == eager.transcript
    assert plain(ended.transcript) == plain(f"{BOOKING} {QUESTION}")
    assert [event.trigger for event in turns] == [None] * (len(turns) - 1) + ["model"]
    assert {event.turn_index for event in turns} == {0}
    assert all(event.transcript for event in turns)


async def test_next_turn_has_the_next_index(url: str, spoken: Sound) -> None:
    """What is said after the end of a turn is a turn of its own."""
    async with flux(url) as socket:
        await socket.send(spoken(0.3, BOOKING, 1.2, DELIVERY, 1.2))
        first, second = (await turn(socket))[-1], (await turn(socket))[-1]

    assert (first.turn_index, plain(first.transcript)) == (0, plain(BOOKING))
    assert (second.turn_index, plain(second.transcript)) == (1, plain(DELIVERY))
    assert second.audio_window_start >= first.audio_window_end - 0.5


async def test_thresholds_move_the_end(url: str, spoken: Sound) -> None:
    """A higher eot_threshold waits longer, and eot_timeout_ms ends what no threshold does."""
    sound = spoken(0.3, BOOKING, 3.0)

    quick = await end(url, sound, eot_threshold=0.5)
    slow = await end(url, sound, eot_threshold=0.9)
    timed = await end(url, sound, eot_threshold=1.0, eot_timeout_ms=1500)

    silence = [ended.audio_window_end - ended.words[-1].end for ended in (quick, slow, timed)]
    assert silence == [pytest.approx(of, abs=0.12) for of in (0.23, 0.77, 1.5)]
    assert [ended.trigger for ended in (quick, slow, timed)] == ["model", "model", "timeout"]
    assert quick.end_of_turn_confidence >= 0.5
    assert slow.end_of_turn_confidence >= 0.9


async def test_eager_threshold_moves_the_eager_end(url: str, spoken: Sound) -> None:
    """A higher eager_eot_threshold comes later; without one there is no eager end."""
    sound = spoken(0.3, BOOKING, 1.5)
    eager: list[list[Any]] = []
    for options in ({}, {"eager_eot_threshold": 0.3}, {"eager_eot_threshold": 0.8}):
        async with flux(url, eot_threshold=0.9, **options) as socket:
            await socket.send(sound)
            eager.append([one for one in await turn(socket) if one.event == "EagerEndOfTurn"])

    none, (early,), (late,) = eager
    assert none == []
    assert late.audio_window_end - early.audio_window_end == pytest.approx(0.42, abs=0.1)
    assert early.end_of_turn_confidence < 0.8 <= late.end_of_turn_confidence


async def test_configure_changes_a_running_stream(url: str, spoken: Sound) -> None:
    """Thresholds and keyterms sent on the way are confirmed and used; what is left out stays."""
    async with flux(url, eot_threshold=0.6, keyterm=["Flux"]) as socket:
        await socket.tell(
            {"type": "Configure", "thresholds": {"eot_threshold": 1.0, "eot_timeout_ms": 1000}}
        )
        done = (await socket.until(type="ConfigureSuccess"))[-1]
        await socket.send(spoken(0.3, BOOKING, 2.0))
        ended = (await turn(socket))[-1]

    assert done.thresholds.model_dump(exclude_none=True) == {
        "eot_threshold": 1.0,
        "eot_timeout_ms": 1000,
    }
    assert done.keyterms == ["Flux"]
    assert ended.trigger == "timeout"


@pytest.mark.parametrize(
    "thresholds",
    [
        pytest.param({"eot_threshold": 2}, id="out of range"),
        pytest.param({"eot_timeout_ms": "soon"}, id="no number"),
        pytest.param({"eager_eot_threshold": 0.8, "eot_threshold": 0.6}, id="eager above eot"),
        pytest.param({"patience": 1}, id="unknown"),
        pytest.param([0.7], id="no object"),
    ],
)
async def test_bad_configure_changes_nothing(url: str, thresholds: object) -> None:
    """What cannot be is refused with a reason, and the stream goes on with what it had."""
    async with flux(url, eot_threshold=0.7) as socket:
        await socket.tell({"type": "Configure", "thresholds": thresholds})
        failed = (await socket.until(type="ConfigureFailure"))[-1]
        await socket.tell({"type": "Configure", "keyterms": ["still here"]})
        done = (await socket.until(type="ConfigureSuccess"))[-1]

    assert failed.code == "INVALID_CONFIGURATION"
    assert failed.description
    assert done.thresholds.eot_threshold == 0.7


async def test_force_end_turn(url: str, spoken: Sound) -> None:
    """ForceEndTurn ends a turn that nothing else would, and does nothing where there is none."""
    async with flux(url, eot_threshold=1.0, eot_timeout_ms=60000) as socket:
        await socket.sdk.send_force_end_turn()
        await socket.send(spoken(0.3, BOOKING, 1.0))
        await socket.sdk.send_force_end_turn()
        events = await turn(socket)

    assert events[0].event == "StartOfTurn"
    assert events[-1].trigger == "manual"
    assert plain(events[-1].transcript) == plain(BOOKING)


async def test_close_stream_shows_the_rest(url: str, spoken: Sound) -> None:
    """CloseStream brings what was said as an update, ends no turn, and closes."""
    async with flux(url) as socket:
        await socket.send(spoken(0.3, BOOKING))
        await socket.sdk.send_close_stream()
        heard = await socket.rest()

    assert plain(heard[-1].transcript) == plain(BOOKING)
    assert heard[-1].event == "Update"
    assert "EndOfTurn" not in [frame.event for frame in heard if frame.type == "TurnInfo"]


async def test_silence_and_noise_are_no_turn(url: str) -> None:
    """Silence, a click and a hiss say nothing."""
    hiss = np.random.default_rng(1).normal(0, 300, 2 * HEARING_RATE).astype("<i2")
    hiss[HEARING_RATE : HEARING_RATE + 80] = 20_000
    async with flux(url) as socket:
        await socket.send(bytes(2 * HEARING_RATE) + hiss.tobytes() + bytes(2 * HEARING_RATE))
        await socket.sdk.send_close_stream()
        heard = await socket.rest()

    assert [frame.type for frame in heard] == ["Connected"]


async def test_two_callers_at_once_are_kept_apart(url: str, spoken: Sound) -> None:
    """Each of two sockets that speak at the same time hears its own caller."""
    ended = await asyncio.gather(
        *(end(url, spoken(0.3, said, 1.2)) for said in (BOOKING, DELIVERY))
    )

    assert [plain(one.transcript) for one in ended] == [plain(BOOKING), plain(DELIVERY)]
    assert len({one.request_id for one in ended}) == 2


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
async def test_other_sample_rates_are_understood(url: str, spoken: Sound, rate: int) -> None:
    """Speech of another sample rate, in pieces that end within a sample, is the same text."""
    sound = np.frombuffer(spoken(0.3, BOOKING, 1.2), "<i2")
    places = np.arange(len(sound) * rate // HEARING_RATE) * HEARING_RATE / rate
    other = np.interp(places, np.arange(len(sound)), sound).astype("<i2").tobytes()
    async with flux(url, sample_rate=rate) as socket:
        for at in range(0, len(other), 4801):
            await socket.sdk.send_media(other[at : at + 4801])
        ended = (await turn(socket))[-1]

    assert plain(ended.transcript) == plain(BOOKING)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("no json", id="no JSON"),
        pytest.param("[]", id="no object"),
        pytest.param('{"type": "KeepAlive"}', id="a message of Nova"),
    ],
)
async def test_bad_message_is_fatal(url: str, text: str) -> None:
    """A message that Flux does not know is answered by a fatal error and the end."""
    async with flux(url) as socket:
        await socket.sdk._websocket.send(text)
        heard = await socket.rest()

    assert [frame.type for frame in heard] == ["Connected", "Error"]
    assert [frame.sequence_id for frame in heard] == [0, 1]
    assert heard[-1].code == "UNPARSABLE_CLIENT_MESSAGE"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"model": "nova-3"}, "No such model", id="model"),
        pytest.param({"encoding": "opus"}, "linear16", id="encoding"),
        pytest.param({"sample_rate": "fast"}, "sample_rate", id="rate"),
        pytest.param({"eot_threshold": "0.2"}, "eot_threshold", id="threshold"),
        pytest.param({"eager_eot_threshold": "0.9"}, "eager_eot_threshold", id="eager"),
        pytest.param({"numerals": "maybe"}, "numerals", id="flag"),
        pytest.param({"interim_results": "true"}, "interim_results", id="unknown"),
    ],
)
async def test_bad_parameter_is_refused(
    url: str, session: aiohttp.ClientSession, changes: dict[str, str], problem: str
) -> None:
    """A query that cannot be is a 400 in Deepgram's shape, and it names the parameter."""
    headers = {"Authorization": f"Token {KEY}"}
    async with session.get(f"{url}/v2/listen", params=QUERY | changes, headers=headers) as answer:
        body = await answer.json()

    assert answer.status == 400
    assert problem in body["err_msg"]
    assert set(body) == {"err_code", "err_msg", "request_id"}
    assert answer.headers["dg-request-id"] == body["request_id"]
    assert answer.headers["dg-error"] == body["err_msg"]


async def test_wrong_key_is_refused(url: str) -> None:
    """A wrong key is 401, as the SDK tells it."""
    with pytest.raises(ApiError) as refused:
        async with deepgram(url, "another").listen.v2.connect(**RAW):
            pass
    assert refused.value.status_code == 401


async def test_plugin_hears_speech(url: str, session: aiohttp.ClientSession, spoken: Sound) -> None:
    """LiveKit's plugin tells start, interim text, eager text, final text and end."""
    stt = STTv2(
        api_key=KEY,
        base_url=f"{url.replace('http', 'ws', 1)}/v2/listen",
        http_session=session,
        eager_eot_threshold=0.4,
    )
    events: list[Any] = []
    async with stt.stream() as stream:
        for frame in frames(spoken(0.3, BOOKING, 1.2)):
            stream.push_frame(frame)
        async for event in stream:
            events.append(event)
            if event.type is SpeechEventType.END_OF_SPEECH:
                break

    kinds = [event.type for event in events]
    assert kinds[0] is SpeechEventType.START_OF_SPEECH
    assert SpeechEventType.INTERIM_TRANSCRIPT in kinds
    final = events[kinds.index(SpeechEventType.FINAL_TRANSCRIPT)].alternatives[0]
    eager = events[kinds.index(SpeechEventType.PREFLIGHT_TRANSCRIPT)].alternatives[0]
    assert plain(final.text) == plain(BOOKING)
    assert eager.text == final.text
    assert [str(word) for word in final.words] == final.text.split()
