"""What LiveKit's unpatched plugins make of each fault that can be ordered, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError
from livekit.agents.stt import STT, SpeechEventType
from livekit.agents.types import APIConnectOptions
from livekit.plugins import cartesia, deepgram

from shared.local.voice import HEARING_RATE
from tests.shared.local.providers.client import KEY, Order, Sound, frames
from tests.shared.local.providers.test_deepgram_flux import flux
from tests.spoken import plain

DELIVERY = "My parcel has not arrived yet."
QUESTION = "Can you tell me when it will come?"
ONCE = APIConnectOptions(max_retry=0, timeout=5.0)
AGAIN = APIConnectOptions(max_retry=1, retry_interval=0.01, timeout=5.0)


@pytest.fixture(params=["nova", "flux"])
def stt(request: pytest.FixtureRequest, url: str, session: aiohttp.ClientSession) -> STT[Any]:
    """Each of Deepgram's plugins."""
    if request.param == "nova":
        return deepgram.STT(api_key=KEY, base_url=f"{url}/v1/listen", http_session=session, endpointing_ms=400)  # fmt: skip
    ws = url.replace("http", "ws", 1)
    return deepgram.STTv2(api_key=KEY, base_url=f"{ws}/v2/listen", http_session=session)


@pytest.fixture
async def tts(url: str, session: aiohttp.ClientSession) -> AsyncIterator[cartesia.TTS]:
    made = cartesia.TTS(api_key=KEY, base_url=url, http_session=session, sample_rate=HEARING_RATE)
    yield made
    await made.aclose()


async def hear(stt: STT[Any], sound: bytes, options: APIConnectOptions) -> str:
    """The first final text."""
    async with asyncio.timeout(30), stt.stream(conn_options=options) as stream:
        for frame in frames(sound):
            stream.push_frame(frame)
        async for event in stream:
            if event.type is SpeechEventType.FINAL_TRANSCRIPT:
                return event.alternatives[0].text
    raise AssertionError("nothing was heard")


async def speak(tts: cartesia.TTS, text: str, options: APIConnectOptions) -> list[float]:
    """Seconds of each piece of sound, up to the end or to the error."""
    async with tts.stream(conn_options=options) as stream:
        stream.push_text(text)
        stream.end_input()
        return [event.frame.duration async for event in stream]


async def test_refused_recogniser(stt: STT[Any], order: Order, spoken: Sound) -> None:
    """A refusal that is final reaches the plugin's user with its status, and the next use is well."""
    await order(endpoint="listen", kind="refuse", status=402)
    sound = spoken(0.3, DELIVERY, 1.2)

    with pytest.raises(APIStatusError) as refused:
        await hear(stt, sound, AGAIN)

    assert refused.value.status_code == 402
    assert plain(await hear(stt, sound, AGAIN)) == plain(DELIVERY)


async def test_plugin_tries_a_busy_recogniser_again(
    stt: STT[Any], order: Order, spoken: Sound
) -> None:
    """A refusal that may pass is tried again, and nothing is lost."""
    await order(endpoint="listen", kind="refuse", status=503)

    assert plain(await hear(stt, spoken(0.3, DELIVERY, 1.2), AGAIN)) == plain(DELIVERY)


@pytest.mark.parametrize(
    "fault",
    [pytest.param({"kind": "hang"}, id="hang"), pytest.param({"kind": "delay", "after_s": 2.0}, id="delay")],
)  # fmt: skip
async def test_handshake_that_takes_too_long(
    stt: STT[Any], order: Order, spoken: Sound, fault: dict[str, Any]
) -> None:
    """A handshake without an answer is a connection error when the plugin's time is over."""
    await order(endpoint="listen", **fault)

    with pytest.raises(APIConnectionError):
        await hear(stt, spoken(0.3), APIConnectOptions(max_retry=0, timeout=0.1))


async def test_delayed_recogniser_is_whole(stt: STT[Any], order: Order, spoken: Sound) -> None:
    """Who waits for a slow handshake hears everything."""
    await order(endpoint="listen", kind="delay", after_s=0.05)

    assert plain(await hear(stt, spoken(0.3, DELIVERY, 1.2), ONCE)) == plain(DELIVERY)


async def test_dropped_recogniser(stt: STT[Any], order: Order, spoken: Sound) -> None:
    """A connection that is cut is an error with the code of a lost connection."""
    await order(endpoint="listen", kind="drop", after_s=0.05)

    with pytest.raises(APIStatusError) as dropped:
        await hear(stt, spoken(0.3), ONCE)

    assert dropped.value.status_code == 1006


async def test_recogniser_that_falls_silent(url: str, order: Order, spoken: Sound) -> None:
    """A recogniser that hangs takes sound and says nothing about it."""
    await order(endpoint="listen", kind="hang", after_s=0.001)
    async with flux(url) as socket:
        await socket.receive()
        await socket.send(spoken(0.3, DELIVERY, 1.2))
        await socket.sdk.send_close_stream()
        assert await socket.rest() == []


async def test_refused_speech(tts: cartesia.TTS, order: Order) -> None:
    """A refused context is an error without sound; the next context of the same socket is well."""
    await order(endpoint="tts", kind="refuse", status=402)

    with pytest.raises(APIError, match="no audio frames"):
        await speak(tts, DELIVERY, ONCE)

    assert sum(await speak(tts, DELIVERY, ONCE)) > 1


@pytest.mark.parametrize(
    "fault",
    [pytest.param({"kind": "hang"}, id="hang"), pytest.param({"kind": "delay", "after_s": 2.0}, id="delay")],
)  # fmt: skip
async def test_speech_that_takes_too_long(
    tts: cartesia.TTS, order: Order, fault: dict[str, Any]
) -> None:
    """Speech that does not begin is a timeout."""
    await order(endpoint="tts", **fault)

    with pytest.raises(APITimeoutError):
        await speak(tts, DELIVERY, APIConnectOptions(max_retry=0, timeout=0.2))


async def test_delayed_speech_is_whole(tts: cartesia.TTS, order: Order) -> None:
    """Who waits for slow speech gets all of it."""
    await order(endpoint="tts", kind="delay", after_s=0.05)

    assert sum(await speak(tts, DELIVERY, AGAIN)) > 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        pytest.param("drop", APIStatusError, id="drop"),
        pytest.param("hang", APITimeoutError, id="hang"),
    ],
)
async def test_speech_that_breaks_off(
    tts: cartesia.TTS, order: Order, kind: str, error: type[APIError]
) -> None:
    """Speech that stops on its way is an error after the sound so far, and is not begun anew."""
    await order(endpoint="tts", kind=kind, after_s=0.5)
    heard: list[float] = []

    async def listen() -> None:
        async with tts.stream(conn_options=APIConnectOptions(max_retry=3, timeout=1.0)) as stream:
            stream.push_text(f"{DELIVERY} {QUESTION}")
            stream.end_input()
            async for event in stream:
                heard.append(event.frame.duration)

    with pytest.raises(error):
        await listen()

    assert 0.2 < sum(heard) < 0.8


async def test_orders_count_contexts_not_connections(tts: cartesia.TTS, order: Order) -> None:
    """A connection that the plugin opens ahead uses up no order; `skip` are well, then `times` are hit."""
    await order(endpoint="tts", kind="refuse", status=500, skip=1, times=2)
    tts.prewarm()
    said = []
    for _ in range(4):
        try:
            said.append(sum(await speak(tts, "Good morning.", ONCE)) > 0.4)
        except APIError:
            said.append(False)

    assert said == [True, False, False, True]


async def test_an_order_without_end_lasts_until_all_is_well(
    url: str, session: aiohttp.ClientSession, tts: cartesia.TTS, order: Order
) -> None:
    """`times: null` hits every use until the orders are taken back, and one endpoint's order is no other's."""
    await order(endpoint="listen", kind="refuse", status=500, times=None)
    await order(endpoint="tts", kind="refuse", status=500, times=None)
    for _ in range(3):
        with pytest.raises(APIError):
            await speak(tts, "Good morning.", ONCE)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with session.delete(f"{url}/_faults", headers=headers) as answer:
        assert answer.status == 204

    assert sum(await speak(tts, "Good morning.", ONCE)) > 0.4


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        pytest.param({"endpoint": "speak", "kind": "drop"}, "endpoint", id="endpoint"),
        pytest.param({"endpoint": "tts", "kind": "explode"}, "kind", id="kind"),
        pytest.param({"endpoint": "tts", "kind": "drop", "status": 500}, "status goes", id="status"),
        pytest.param({"endpoint": "tts", "kind": "refuse"}, "status goes", id="no status"),
        pytest.param({"endpoint": "tts", "kind": "drop", "after": 1}, "after", id="unknown"),
    ],
)  # fmt: skip
async def test_bad_orders_are_refused(
    url: str, session: aiohttp.ClientSession, fault: dict[str, Any], problem: str
) -> None:
    """An order that cannot be is 400 with the reason, and without the key nobody gives one."""
    async with session.post(f"{url}/_faults", json=fault) as answer:
        assert answer.status == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    async with session.post(f"{url}/_faults", json=fault, headers=headers) as answer:
        assert (answer.status, problem in await answer.text()) == (400, True)
