"""Answers that come, and are not what they should be: what a client sees of each, and what LiveKit's unpatched plugins make of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from deepgram.listen.v1.types import ListenV1Error
from deepgram.listen.v2.types import ListenV2FatalError
from livekit.agents import APIConnectionError, APIError, APIStatusError, llm
from livekit.agents.types import APIConnectOptions
from livekit.plugins import cartesia, deepgram, openai

from shared.local.voice import HEARING_RATE
from tests.shared.local.providers.client import KEY, Order, Sound, frames, strictly
from tests.spoken import plain

DELIVERY = "My parcel has not arrived yet."
LONG = "My parcel has not arrived yet. Can you tell me when it will come?"
QUERY = f"encoding=linear16&sample_rate={HEARING_RATE}"
NOVA = f"/v1/listen?model=nova-3&interim_results=true&endpointing=300&{QUERY}"
FLUX = f"/v2/listen?model=flux-general-en&{QUERY}"
ONCE = APIConnectOptions(max_retry=0, timeout=5.0)


@pytest.fixture
async def tts(url: str, session: aiohttp.ClientSession) -> AsyncIterator[cartesia.TTS]:
    made = cartesia.TTS(api_key=KEY, base_url=url, http_session=session, sample_rate=HEARING_RATE)
    yield made
    await made.aclose()


@pytest.fixture
async def model(url: str) -> AsyncIterator[llm.LLM[Any]]:
    async with openai.LLM(model="gpt-4.1-mini", api_key=KEY, base_url=f"{url}/v1") as made:
        yield made


@pytest.fixture(params=[pytest.param(NOVA, id="nova"), pytest.param(FLUX, id="flux")])
def listen(request: pytest.FixtureRequest, url: str) -> str:
    """Each of Deepgram's addresses."""
    return f"{url}{request.param}"


async def hear(session: aiohttp.ClientSession, listen: str, sound: bytes) -> list[str]:
    """Every message as it is on the wire, from the handshake to the close that the client asked for."""
    headers = {"Authorization": f"Token {KEY}"}
    async with asyncio.timeout(30), session.ws_connect(listen, headers=headers) as ws:
        for at in range(0, len(sound), 3200):
            await ws.send_bytes(sound[at : at + 3200])
        await ws.send_json({"type": "CloseStream"})
        return [str(message.data) async for message in ws]


async def speak(tts: cartesia.TTS, text: str = LONG) -> bytes:
    """Sound up to the end or to the error."""
    async with tts.stream(conn_options=ONCE) as stream:
        stream.push_text(text)
        stream.end_input()
        return b"".join([bytes(event.frame.data) async for event in stream])


async def ask(model: llm.LLM[Any], text: str, **options: Any) -> tuple[str, int]:
    """What LiveKit's plugin makes of an answer: its text, and how many tools it calls."""
    context = llm.ChatContext.empty()
    context.add_message(role="user", content=text)
    said, calls = "", 0
    async with model.chat(chat_ctx=context, conn_options=ONCE, **options) as stream:
        async for chunk in stream:
            if chunk.delta is not None:
                said += chunk.delta.content or ""
                calls += len(chunk.delta.tool_calls)
    return said, calls


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


async def test_malformed_recognition(
    listen: str, session: aiohttp.ClientSession, order: Order, spoken: Sound
) -> None:
    """What is heard comes, and nothing of it can be read."""
    await order(endpoint="listen", kind="malformed", after_s=0.001)

    said = await hear(session, listen, spoken(0.3, DELIVERY, 1.2))

    assert sum(not is_json(text) for text in said) > 1
    assert not any("parcel" in text.lower() for text in said if is_json(text))


async def test_silent_recogniser(
    listen: str, session: aiohttp.ClientSession, order: Order, spoken: Sound
) -> None:
    """The handshake is answered, sound is taken, and nobody hears it."""
    await order(endpoint="listen", kind="silence")

    said = await hear(session, listen, spoken(0.3, DELIVERY, 1.2))

    assert [json.loads(text)["type"] for text in said] in ([], ["Connected"])


async def test_error_of_nova(
    url: str, session: aiohttp.ClientSession, order: Order, spoken: Sound
) -> None:
    """Nova says what went wrong, and goes on hearing."""
    await order(endpoint="listen", kind="error")

    said = [
        json.loads(text) for text in await hear(session, url + NOVA, spoken(0.3, DELIVERY, 1.2))
    ]

    [error] = [one for one in said if one["type"] == "Error"]
    assert strictly(ListenV1Error, error).description == "On order."
    finals = [one for one in said if one.get("is_final")]
    assert plain(finals[0]["channel"]["alternatives"][0]["transcript"]) == plain(DELIVERY)


async def test_error_of_flux(url: str, session: aiohttp.ClientSession, order: Order) -> None:
    """Flux says what went wrong, and that is the end of the stream."""
    await order(endpoint="listen", kind="error")
    headers = {"Authorization": f"Token {KEY}"}

    async with asyncio.timeout(5), session.ws_connect(url + FLUX, headers=headers) as ws:
        said = [json.loads(message.data) async for message in ws]

    assert [one["type"] for one in said] == ["Connected", "Error"]
    assert strictly(ListenV2FatalError, said[1]).sequence_id == 1
    assert ws.close_code == 1000


@pytest.mark.parametrize("kind", ["nova", "flux"])
async def test_recogniser_that_closes(
    url: str, session: aiohttp.ClientSession, order: Order, spoken: Sound, kind: str
) -> None:
    """A stream that the recogniser ends in order is an error for LiveKit's plugin, with the code of a good end."""
    await order(endpoint="listen", kind="half", after_s=0.05)
    base_url = f"{url}/v1/listen" if kind == "nova" else f"{url.replace('http', 'ws', 1)}/v2/listen"
    plugin = deepgram.STT if kind == "nova" else deepgram.STTv2
    stt = plugin(api_key=KEY, base_url=base_url, http_session=session)

    async def listen() -> None:
        async with asyncio.timeout(10), stt.stream(conn_options=ONCE) as stream:
            for frame in frames(spoken(0.3)):
                stream.push_frame(frame)
            async for _ in stream:
                pass

    with pytest.raises(APIStatusError) as closed:
        await listen()
    assert closed.value.status_code == 1000


async def test_malformed_speech(tts: cartesia.TTS, order: Order) -> None:
    """Speech that cannot be read is an error, and the next is well."""
    await order(endpoint="tts", kind="malformed")

    with pytest.raises(APIError):
        await speak(tts)

    assert any(await speak(tts))


async def test_speech_without_sound(tts: cartesia.TTS, order: Order) -> None:
    """Zeros, as long as the speech would be, and no error; with a delay the beginning is heard."""
    await order(endpoint="tts", kind="silence")
    await order(endpoint="tts", kind="silence", after_s=0.5)
    whole, part, well = [np.frombuffer(await speak(tts), "<i2") for _ in range(3)]

    assert not whole.any()
    assert len(whole) == pytest.approx(len(well), rel=0.2)
    assert part[: HEARING_RATE // 2].any()
    assert not part[HEARING_RATE:].any()


@pytest.mark.parametrize(
    ("kind", "after_s", "problem"),
    [
        pytest.param("error", 0.0, "no audio frames", id="error at once"),
        pytest.param("half", 0.0, "no audio frames", id="end at once"),
        pytest.param("error", 0.5, None, id="error on the way"),
        pytest.param("half", 0.5, None, id="end on the way"),
    ],
)
async def test_speech_that_ends_early(
    tts: cartesia.TTS, order: Order, kind: str, after_s: float, problem: str | None
) -> None:
    """Without sound it is an error; after some the plugin takes the error for a good end, as Cartesia's `done` makes it look."""
    await order(endpoint="tts", kind=kind, after_s=after_s)

    if problem is not None:
        with pytest.raises(APIError, match=problem):
            await speak(tts)
    else:
        assert 0.2 < len(await speak(tts)) / 2 / HEARING_RATE < 0.8
    assert any(await speak(tts))


@pytest.mark.parametrize("after_s", [0.0, 0.05])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        pytest.param("malformed", APIConnectionError, id="malformed"),
        pytest.param("error", APIConnectionError, id="error"),
    ],
)
async def test_broken_completion(
    model: llm.LLM[Any], order: Order, kind: str, error: type[APIError], after_s: float
) -> None:
    """A piece that cannot be read, or that says an error, is one for LiveKit's plugin; the next answer is well."""
    await order(endpoint="chat", kind=kind, after_s=after_s)

    with pytest.raises(error):
        await ask(model, "Hello.")

    assert (await ask(model, "Hello."))[0]


async def test_half_a_completion(model: llm.LLM[Any], order: Order) -> None:
    """An answer that ends in its middle is no error for LiveKit's plugin: the text is cut, the call of a tool is lost."""

    @llm.function_tool
    async def find_answer(question: str) -> str:
        """Find the answer to a question about delivery.

        Args:
            question: The caller's question, in their own words.
        """
        return question

    question = "How long does a delivery take?"
    whole, called = await ask(model, "Hello."), await ask(model, question, tools=[find_answer])
    await order(endpoint="chat", kind="half", times=2)
    half, lost = await ask(model, "Hello."), await ask(model, question, tools=[find_answer])

    assert whole[0].startswith(half[0])
    assert 0 < len(half[0]) < len(whole[0])
    assert called == ("", 1)
    assert lost == ("", 0)


async def test_completion_that_only_keeps_alive(
    url: str, session: aiohttp.ClientSession, order: Order
) -> None:
    """The stream is open and says nothing but that it is."""
    await order(endpoint="chat", kind="silence")
    body = {"model": "any", "messages": [{"role": "user", "content": "Hello."}], "stream": True}
    headers = {"Authorization": f"Bearer {KEY}"}

    async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
        said = [await answer.content.readline() for _ in range(4)]

    assert said == [b": keep-alive\n", b"\n"] * 2


async def test_an_order_for_some_requests(
    tts: cartesia.TTS, model: llm.LLM[Any], order: Order
) -> None:
    """`only` leaves every request alone that does not hold its text, and counts none of them."""
    await order(endpoint="chat", kind="refuse", status=401, only="Grace")
    await order(endpoint="tts", kind="refuse", status=402, only="Good morning, Grace.")

    assert (await ask(model, "Hello."))[0]
    assert any(await speak(tts, "Good morning, Ada."))
    with pytest.raises(APIStatusError):
        await ask(model, "I am Grace.")
    with pytest.raises(APIError):
        await speak(tts, "Good morning, Grace.")
