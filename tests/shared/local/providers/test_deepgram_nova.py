"""Deepgram's Nova as its own SDK and LiveKit's unpatched plugin use it, over real sockets, with real speech."""

from __future__ import annotations

import hashlib
from typing import Any

import aiohttp
import pytest
from deepgram.core.api_error import ApiError
from deepgram.listen.v1 import types
from livekit.agents.stt import SpeechEventType
from livekit.plugins.deepgram import STT
from websockets.exceptions import ConnectionClosedError

from shared.local import deepgram_nova
from shared.local.voice import HEARING_RATE
from tests.shared.local.providers.client import KEY, Sound, deepgram, frames, opened
from tests.spoken import plain

BOOKING = "I would like to book a table for four people."
DELIVERY = "My parcel has not arrived yet."
RAW: dict[str, Any] = {"model": "nova-3", "encoding": "linear16", "sample_rate": HEARING_RATE}
QUERY = {name: str(value) for name, value in RAW.items()}


def nova(url: str, **options: Any) -> Any:
    """A socket that the SDK opened."""
    return opened(
        deepgram(url).listen.v1.connect(**{**RAW, **options}),
        types.ListenV1Results,
        types.ListenV1SpeechStarted,
        types.ListenV1UtteranceEnd,
        types.ListenV1Metadata,
        types.ListenV1Error,
    )


async def everything(url: str, sound: bytes, **options: Any) -> list[Any]:
    """All frames about this sound, the summary too."""
    async with nova(url, **options) as socket:
        await socket.send(sound)
        await socket.sdk.send_close_stream()
        return await socket.rest()  # type: ignore[no-any-return]


def texts(heard: list[Any], *, final: bool = True) -> list[str]:
    found = [one for one in heard if one.type == "Results" and one.is_final is final]
    return [one.channel.alternatives[0].transcript for one in found]


async def test_speech_becomes_text(url: str, spoken: Sound) -> None:
    """What Piper says is one final result, its words within its time, and a summary follows at the end."""
    sound = spoken(0.5, BOOKING, 1.0)

    result, summary = await everything(url, sound, endpointing=300, punctuate="true")

    (best,) = result.channel.alternatives
    assert plain(best.transcript) == plain(BOOKING)
    assert " ".join(word.punctuated_word for word in best.words) == best.transcript
    assert " ".join(word.word for word in best.words) == plain(BOOKING)
    times = [time for word in best.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert result.start <= times[0] < times[-1] <= result.start + result.duration
    assert (result.is_final, result.speech_final, result.from_finalize) == (True, True, False)
    assert summary.type == "Metadata"
    assert summary.request_id == result.metadata.request_id
    assert summary.sha256 == hashlib.sha256(sound).hexdigest()
    assert summary.duration == pytest.approx(len(sound) / (2 * HEARING_RATE), abs=0.05)


async def test_text_without_punctuation(url: str, spoken: Sound) -> None:
    """Nobody who does not ask gets punctuation or capitals."""
    result, _ = await everything(url, spoken(0.3, BOOKING, 1.0), endpointing=300)

    (best,) = result.channel.alternatives
    assert best.transcript == plain(BOOKING)
    assert {word.punctuated_word for word in best.words} == {None}


async def test_interim_results_come_only_when_asked_for(url: str, spoken: Sound) -> None:
    """An interim result is text that is not final; without interim_results there is none."""
    sound = spoken(0.3, BOOKING, 1.0)

    with_them = await everything(url, sound, endpointing=300, interim_results="true")
    without = await everything(url, sound, endpointing=300)

    assert all(texts(with_them, final=False))
    assert texts(with_them, final=False)
    assert not texts(without, final=False)
    assert texts(with_them) == texts(without)
    assert not any(
        one.speech_final for one in with_them if one.type == "Results" and not one.is_final
    )


async def test_endpointing_decides_what_is_one_utterance(url: str, spoken: Sound) -> None:
    """A pause longer than endpointing ends an utterance, a shorter one does not."""
    sound = spoken(0.3, BOOKING, 0.6, DELIVERY, 1.5)

    parted = await everything(url, sound, endpointing=300)
    whole = await everything(url, sound, endpointing=1000)

    assert [plain(text) for text in texts(parted)] == [plain(BOOKING), plain(DELIVERY)]
    assert [plain(text) for text in texts(whole)] == [plain(f"{BOOKING} {DELIVERY}")]


async def test_endpointing_can_be_off(url: str, spoken: Sound) -> None:
    """Without endpointing text becomes final, and no pause is an end of speech."""
    result, _ = await everything(url, spoken(0.3, BOOKING, 2.0), endpointing="false")

    assert (result.is_final, result.speech_final) == (True, False)


async def test_speech_started_comes_first(url: str, spoken: Sound) -> None:
    """With vad_events each utterance is announced with the moment of its first sound."""
    sound = spoken(0.5, BOOKING, 0.6, DELIVERY, 0.6)

    heard = await everything(url, sound, endpointing=300, vad_events="true")

    assert [one.type for one in heard] == ["SpeechStarted", "Results"] * 2 + ["Metadata"]
    assert heard[0].timestamp == heard[1].channel.alternatives[0].words[0].start
    assert heard[0].timestamp == pytest.approx(0.5, abs=0.1)


async def test_utterance_end_comes_after_the_gap(url: str, spoken: Sound) -> None:
    """A gap of utterance_end_ms after the last final word is told once, a shorter one is not."""
    sound = spoken(0.3, BOOKING, 0.9, DELIVERY, 2.5)

    heard = await everything(
        url, sound, endpointing=300, interim_results="true", utterance_end_ms=1000
    )

    told = [one for one in heard if one.type == "UtteranceEnd"]
    finals = [one for one in heard if one.type == "Results" and one.is_final]
    assert [one.last_word_end for one in told] == [finals[1].channel.alternatives[0].words[-1].end]
    assert heard.index(told[0]) > heard.index(finals[1])


async def test_finalize_brings_what_is_pending(url: str, spoken: Sound) -> None:
    """Finalize makes the text so far final, says that it did, and does nothing where there is none."""
    async with nova(url, endpointing=5000) as socket:
        await socket.sdk.send_finalize()
        await socket.send(spoken(0.3, BOOKING))
        await socket.sdk.send_keep_alive()
        await socket.sdk.send_finalize()
        result = await socket.receive()

    assert plain(result.channel.alternatives[0].transcript) == plain(BOOKING)
    assert (result.is_final, result.from_finalize) == (True, True)


async def test_silence_is_no_utterance(url: str) -> None:
    """Silence brings the summary alone."""
    heard = await everything(
        url, bytes(4 * HEARING_RATE), vad_events="true", interim_results="true"
    )

    assert [one.type for one in heard] == ["Metadata"]


async def test_bad_message_is_told_and_survived(url: str, spoken: Sound) -> None:
    """A message that Nova does not know is an error frame; the stream goes on."""
    async with nova(url, endpointing=300) as socket:
        await socket.tell({"type": "Configured"})
        error = await socket.receive()
        await socket.send(spoken(0.3, BOOKING, 0.6))
        result = await socket.receive()

    assert (error.type, error.variant) == ("Error", "SchemaError")
    assert plain(result.channel.alternatives[0].transcript) == plain(BOOKING)


async def test_idle_socket_is_closed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket without sound or KeepAlive is closed with Deepgram's code and reason."""
    monkeypatch.setattr(deepgram_nova._Nova, "idle_s", 0.1)
    async with nova(url) as socket:
        with pytest.raises(ConnectionClosedError) as closed:
            await socket.receive()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert closed.value.rcvd.reason.startswith("NET-0001")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"model": "flux-general-en"}, "No such model", id="model"),
        pytest.param({"encoding": "opus"}, "linear16", id="encoding"),
        pytest.param({"sample_rate": "1"}, "sample_rate", id="rate"),
        pytest.param({"channels": "2"}, "one channel", id="channels"),
        pytest.param({"endpointing": "soon"}, "endpointing", id="endpointing"),
        pytest.param({"utterance_end_ms": "1000"}, "interim_results", id="gap without interims"),
        pytest.param({"utterance_end_ms": "10", "interim_results": "true"}, "utterance_end_ms", id="gap"),
        pytest.param({"punctuate": "maybe"}, "punctuate", id="flag"),
        pytest.param({"eot_threshold": "0.7"}, "eot_threshold", id="unknown"),
    ],
)  # fmt: skip
async def test_bad_parameter_is_refused(
    url: str, session: aiohttp.ClientSession, changes: dict[str, str], problem: str
) -> None:
    """A query that cannot be is a 400 in Deepgram's shape, and it names the parameter."""
    headers = {"Authorization": f"Token {KEY}"}
    async with session.get(f"{url}/v1/listen", params=QUERY | changes, headers=headers) as answer:
        body = await answer.json()

    assert answer.status == 400
    assert problem in body["err_msg"]
    assert set(body) == {"err_code", "err_msg", "request_id"}


async def test_wrong_key_is_refused(url: str) -> None:
    """A wrong key is 401, as the SDK tells it."""
    with pytest.raises(ApiError) as refused:
        async with deepgram(url, "another").listen.v1.connect(**RAW):
            pass
    assert refused.value.status_code == 401


async def test_plugin_hears_speech(url: str, session: aiohttp.ClientSession, spoken: Sound) -> None:
    """LiveKit's plugin, with all that it sends by itself, tells start, interim text, final text and end."""
    stt = STT(api_key=KEY, base_url=f"{url}/v1/listen", http_session=session, endpointing_ms=300)
    events: list[Any] = []
    async with stt.stream() as stream:
        for frame in frames(spoken(0.3, BOOKING, 1.0)):
            stream.push_frame(frame)
        async for event in stream:
            events.append(event)
            if event.type is SpeechEventType.END_OF_SPEECH:
                break

    kinds = [event.type for event in events]
    assert kinds[0] is SpeechEventType.START_OF_SPEECH
    assert SpeechEventType.INTERIM_TRANSCRIPT in kinds
    final = events[kinds.index(SpeechEventType.FINAL_TRANSCRIPT)].alternatives[0]
    assert plain(final.text) == plain(BOOKING)
    assert [str(word) for word in final.words] == final.text.split()
