"""Cartesia's sockets and files as its own SDK and LiveKit's unpatched plugin use them; what is spoken is recognised again."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import cartesia
import numpy as np
import pytest
import structlog
from cartesia.types import websocket_response as types
from livekit.plugins import cartesia as plugin
from pydantic import BaseModel
from websockets.exceptions import InvalidStatus

from shared.local.pcm import from_s16le
from shared.local.voice import HEARING_RATE, Voice
from tests.shared.local.providers.client import KEY, strictly
from tests.spoken import alike, plain

BOOKING = "I would like to book a table for four people."
DELIVERY = "My parcel has not arrived yet."
LONG = "You are calling about a late order, which we sent to your home address, and you would like a new one."
RAW: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": HEARING_RATE}
VOICE: Any = {"mode": "id", "id": "any"}
OLD, NEW = "2025-04-16", "2026-08-14"

MODELS: dict[str, type[BaseModel]] = {
    "chunk": types.Chunk,
    "timestamps": types.Timestamps,
    "flush_done": types.FlushDone,
    "done": types.Done,
    "error": types.Error,
}


def client(url: str, *, key: str = KEY, version: str = NEW) -> cartesia.AsyncCartesia:
    return cartesia.AsyncCartesia(
        api_key=key,
        base_url=url,
        websocket_base_url=url.replace("http", "ws", 1),
        max_retries=0,
        default_headers={"cartesia-version": version},
    )


class Contexts:
    """A socket that the SDK opened. Every frame must fit the SDK's models."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def say(
        self, text: str, context: str = "a", *, more: bool = False, **fields: Any
    ) -> None:
        await self.connection.send(
            {
                "context_id": context,
                "model_id": "sonic-3",
                "voice": VOICE,
                "output_format": RAW,
                "transcript": text,
                "language": "en",
                "continue": more,
                **fields,
            }
        )

    async def receive(self) -> Any:
        frame = json.loads(await self.connection.recv_bytes())
        return strictly(MODELS[frame["type"]], frame)

    async def until(self, kind: str) -> list[Any]:
        frames = [await self.receive()]
        while frames[-1].type != kind:
            frames.append(await self.receive())
        return frames


@pytest.fixture
async def contexts(url: str) -> AsyncIterator[Contexts]:
    async with client(url) as made, made.tts.websocket_connect() as connection:
        yield Contexts(connection)


def sound(frames: list[Any], context: str = "a") -> bytes:
    """The sound of a context."""
    mine = [one for one in frames if one.type == "chunk" and one.context_id == context]
    return b"".join(base64.b64decode(one.data) for one in mine)


async def heard(voice: Voice, pcm: bytes) -> str:
    return await voice.recognise(from_s16le(pcm))


def length_s(pcm: bytes) -> float:
    return len(pcm) / 2 / HEARING_RATE


async def test_text_becomes_speech(contexts: Contexts, voice: Voice) -> None:
    """A text comes back as speech in short chunks, and a last frame says that this was all."""
    await contexts.say(BOOKING)
    frames = await contexts.until("done")

    assert alike(await heard(voice, sound(frames)), BOOKING)
    assert [one.type for one in frames] == ["chunk"] * (len(frames) - 1) + ["done"]
    assert len(frames) > 10
    assert {one.context_id for one in frames} == {"a"}
    assert [one.done for one in frames] == [False] * (len(frames) - 1) + [True]


async def test_continued_text_is_one_speech(contexts: Contexts, voice: Voice) -> None:
    """Pieces of a sentence that come with `continue` are spoken together; an empty last one ends the context."""
    first, second = BOOKING[:20], BOOKING[20:]
    for piece in (first, second, " " + DELIVERY):
        await contexts.say(piece, more=True, add_timestamps=True)
    await contexts.say("")
    frames = await contexts.until("done")

    told = [one.word_timestamps.words for one in frames if one.type == "timestamps"]
    assert told == [BOOKING.split(), DELIVERY.split()]
    assert alike(await heard(voice, sound(frames)), f"{BOOKING} {DELIVERY}")


async def test_unfinished_text_is_spoken_when_its_time_is_over(
    contexts: Contexts, voice: Voice
) -> None:
    """Text that ends no sentence waits for max_buffer_delay_ms and no longer."""
    await contexts.say("Good morning", max_buffer_delay_ms=100, more=True)
    first = await contexts.until("chunk")
    await contexts.say("")
    rest = await contexts.until("done")

    assert alike(await heard(voice, sound(first + rest)), "Good morning")


async def test_flush_is_confirmed(contexts: Contexts) -> None:
    """Each flush is answered, with its number, after the sound that it brings out."""
    for text in ("Good morning", "and welcome"):
        await contexts.say(text, flush=True, more=True)
    await contexts.say("")
    frames = await contexts.until("done")

    kinds = [one.type for one in frames]
    flushes = [one for one in frames if one.type == "flush_done"]
    assert [one.flush_id for one in flushes] == [1, 2]
    assert kinds[0] == "chunk"
    assert kinds[kinds.index("flush_done") + 1] == "chunk"
    assert kinds[-2:] == ["flush_done", "done"]


async def test_cancel_ends_one_context(contexts: Contexts, voice: Voice) -> None:
    """A cancelled context is done and silent; the others of its socket speak on."""
    await contexts.say(f"{LONG} {LONG}", "a")
    await contexts.say(DELIVERY, "b")
    begun = await contexts.until("chunk")
    await contexts.connection.send({"context_id": "a", "cancel": True})
    frames = begun + await contexts.until("done") + await contexts.until("done")

    last = [at for at, one in enumerate(frames) if one.context_id == "a"][-1]
    assert frames[last].type == "done"
    assert length_s(sound(frames)) < 6
    assert alike(await heard(voice, sound(frames, "b")), DELIVERY)


async def test_contexts_of_a_socket_are_kept_apart(contexts: Contexts, voice: Voice) -> None:
    """Two contexts at once each get their own speech and their own end."""
    await contexts.say(BOOKING, "a")
    await contexts.say(DELIVERY, "b")
    frames = await contexts.until("done") + await contexts.until("done")

    assert {one.context_id for one in frames if one.type == "done"} == {"a", "b"}
    assert alike(await heard(voice, sound(frames, "a")), BOOKING)
    assert alike(await heard(voice, sound(frames, "b")), DELIVERY)


async def test_context_id_can_be_used_again(contexts: Contexts) -> None:
    """A context that is done leaves its id free, and its times begin anew."""
    for _ in range(2):
        await contexts.say(DELIVERY, add_timestamps=True)
        frames = await contexts.until("done")
        assert frames[0].word_timestamps.start[0] < 0.5


async def test_word_times_run_through_all_phrases(contexts: Contexts) -> None:
    """Every word has its time, the times never go back, and none is later than the sound."""
    text = f"{BOOKING} {LONG} {DELIVERY}"
    await contexts.say(text, add_timestamps=True)
    frames = await contexts.until("done")

    told = [one.word_timestamps for one in frames if one.type == "timestamps"]
    assert [word for one in told for word in one.words] == text.split()
    times = [time for one in told for both in zip(one.start, one.end, strict=True) for time in both]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= length_s(sound(frames))


async def test_long_sentence_starts_with_its_first_clause(contexts: Contexts) -> None:
    """Sound of the first clause is there before the rest of a long sentence is made."""
    await contexts.say(LONG, add_timestamps=True)
    frames = await contexts.until("done")

    assert " ".join(frames[0].word_timestamps.words) == "You are calling about a late order,"
    assert frames[1].type == "chunk"
    assert [one.type for one in frames].count("timestamps") > 1


async def test_nothing_to_say_is_no_sound(contexts: Contexts) -> None:
    """Text without words is done at once."""
    await contexts.say(" ... ")
    assert [one.type for one in await contexts.until("done")] == ["done"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param({"model_id": "aura"}, "model_id", id="model"),
        pytest.param({"output_format": {**RAW, "encoding": "opus"}}, "encoding", id="encoding"),
        pytest.param({"output_format": {**RAW, "sample_rate": 1}}, "sample_rate", id="rate"),
        pytest.param({"generation_config": {"speed": 9}}, "speed", id="speed"),
        pytest.param({"max_buffer_delay_ms": -1}, "max_buffer_delay_ms", id="buffer"),
        pytest.param({"transcript": ["my secret"]}, "transcript", id="text"),
    ],
)
async def test_bad_request_is_an_error_of_its_context(
    contexts: Contexts, fields: dict[str, Any], problem: str
) -> None:
    """What cannot be spoken is an error that names the field and quotes nothing; the socket goes on."""
    await contexts.say(**{"text": "my secret", **fields})
    (error,) = await contexts.until("error")
    await contexts.say(DELIVERY)
    frames = await contexts.until("done")

    assert (error.status_code, error.done, error.context_id) == (400, True, "a")
    assert problem in error.message
    assert "secret" not in error.message
    assert sound(frames)


@pytest.mark.parametrize("text", ["no json", "[]", "{}"])
async def test_what_is_no_request_is_an_error(contexts: Contexts, text: str) -> None:
    """Anything but a request is an error without a context."""
    await contexts.connection._connection.send(text)
    (error,) = await contexts.until("error")

    assert (error.status_code, error.context_id) == (400, None)


async def test_old_version_gets_the_old_error(url: str) -> None:
    """For the version that LiveKit's plugin names, an error is one text."""
    async with (
        client(url, version=OLD) as made,
        made.tts.websocket_connect(extra_query={"cartesia_version": OLD}) as connection,
    ):
        await connection.send({"context_id": "a", "transcript": "Hello."})  # type: ignore[arg-type]
        error = json.loads(await connection.recv_bytes())

    assert set(error) == {"type", "context_id", "status_code", "done", "error"}
    assert (error["type"], error["done"], error["context_id"]) == ("error", True, "a")


async def test_wrong_key_is_refused(url: str) -> None:
    """A wrong key is 401 for files and sockets, in the words of the version that is asked for."""
    async with client(url, key="another") as made:
        with pytest.raises(cartesia.AuthenticationError) as refused:
            await made.tts.generate(
                model_id="sonic-3", voice=VOICE, output_format=RAW, transcript=DELIVERY
            )
        with pytest.raises(InvalidStatus) as closed:
            async with made.tts.websocket_connect():
                pass
    async with client(url, key="another", version=OLD) as made:
        with pytest.raises(cartesia.AuthenticationError, match="Invalid API key"):
            await made.tts.generate(
                model_id="sonic-3", voice=VOICE, output_format=RAW, transcript=DELIVERY
            )

    assert closed.value.response.status_code == 401
    body = refused.value.response.json()
    assert set(body) == {"error_code", "title", "message", "request_id"}


async def generate(url: str, text: str, **fields: Any) -> bytes:
    async with client(url) as made:
        options = {"model_id": "sonic-3", "voice": VOICE, "output_format": RAW, **fields}
        answer = await made.tts.generate(transcript=text, **options)
        return await answer.read()


async def test_bytes_are_raw_speech(url: str, voice: Voice) -> None:
    """A raw file is the sound alone, of all sentences."""
    assert alike(await heard(voice, await generate(url, f"{BOOKING} {DELIVERY}")), f"{BOOKING} {DELIVERY}")  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "kind", "width"),
    [
        pytest.param("pcm_s16le", 1, 2, id="16 bits"),
        pytest.param("pcm_f32le", 3, 4, id="floats"),
        pytest.param("pcm_mulaw", 7, 1, id="mu-law"),
        pytest.param("pcm_alaw", 6, 1, id="A-law"),
    ],
)
async def test_wav_says_what_it_holds(url: str, encoding: str, kind: int, width: int) -> None:
    """A WAV file names its encoding and rate, and has the sound of a sentence behind them."""
    form = {"container": "wav", "encoding": encoding, "sample_rate": 8000}
    file = await generate(url, "Good morning.", output_format=form)

    assert (file[:4], file[8:16], file[36:40]) == (b"RIFF", b"WAVEfmt ", b"data")
    layout = struct.unpack("<HHIIHH", file[20:36])
    assert layout == (kind, 1, 8000, 8000 * width, width, 8 * width)
    assert 0.5 < len(file[44:]) / width / 8000 < 2


async def test_spanish_is_spoken(contexts: Contexts, voice: Voice) -> None:
    """Spanish is heard as Spanish, faster and quieter where so wanted, and English after it as English."""
    changed = {"speed": 1.5, "volume": 0.5}
    await contexts.say("Buenos días, señor.", "a", language="es")
    await contexts.say("Buenos días, señor.", "b", language="es", generation_config=changed)
    await contexts.say(DELIVERY, "c")
    frames = [frame for _ in range(3) for frame in await contexts.until("done")]

    spanish, fast, english = (sound(frames, context) for context in "abc")
    assert "senor" in (await heard(voice, spanish)).lower().replace("ñ", "n")
    assert length_s(fast) < 0.85 * length_s(spanish)
    assert np.abs(from_s16le(fast)).max() < 0.6 * np.abs(from_s16le(spanish)).max()
    assert alike(await heard(voice, english), DELIVERY)


async def test_other_languages_are_said_not_to_be_spoken(contexts: Contexts, voice: Voice) -> None:
    """A language that nobody here speaks is warned of once and read as English, so that a call goes on."""
    with structlog.testing.capture_logs() as logs:
        for context in "ab":
            await contexts.say(DELIVERY, context, language="fr")
        frames = await contexts.until("done") + await contexts.until("done")

    warned = [entry["language"] for entry in logs if entry["log_level"] == "warning"]
    assert warned == ["fr"]
    assert alike(await heard(voice, sound(frames)), DELIVERY)


async def test_speed_and_volume_change_the_sound(url: str) -> None:
    """A higher speed shortens the sound, a lower volume makes it softer."""
    usual = await generate(url, BOOKING)
    fast = await generate(url, BOOKING, generation_config={"speed": 1.5})
    soft = await generate(url, BOOKING, generation_config={"volume": 0.5})

    assert len(fast) < 0.85 * len(usual)
    assert np.abs(from_s16le(soft)).max() < 0.7 * np.abs(from_s16le(usual)).max()


async def test_bad_file_request_is_refused(url: str) -> None:
    """A request that cannot be is 400 and names the field."""
    with pytest.raises(cartesia.BadRequestError, match="model_id"):
        await generate(url, DELIVERY, model_id="aura")


async def test_plugin_streams_speech(
    url: str, session: aiohttp.ClientSession, voice: Voice
) -> None:
    """LiveKit's plugin gets speech for text that comes word by word, with the times of its words."""
    tts = plugin.TTS(api_key=KEY, base_url=url, http_session=session, sample_rate=HEARING_RATE)
    said = f"{BOOKING} {LONG}"
    async with tts, tts.stream() as stream:
        for word in said.split():
            stream.push_text(word + " ")
        stream.end_input()
        events = [event async for event in stream]

    pcm = b"".join(bytes(event.frame.data) for event in events)
    words = [word for event in events for word in event.frame.userdata["lk.timed_transcripts"]]
    assert alike(await heard(voice, pcm), said)
    assert plain("".join(words)) == plain(said)


async def test_plugin_makes_a_file(url: str, session: aiohttp.ClientSession, voice: Voice) -> None:
    """LiveKit's plugin gets a whole text without a socket."""
    tts = plugin.TTS(api_key=KEY, base_url=url, http_session=session, sample_rate=HEARING_RATE)
    async with tts:
        frame = await tts.synthesize(BOOKING).collect()

    assert alike(await heard(voice, bytes(frame.data)), BOOKING)
