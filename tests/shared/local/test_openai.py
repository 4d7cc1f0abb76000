"""OpenAI's wire as its own client and LiveKit's unpatched plugin use it, over real sockets."""

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import aiohttp
import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from livekit.agents import (
    Agent,
    AgentSession,
    APIConnectionError,
    APIStatusError,
    function_tool,
    llm,
)
from livekit.agents.types import APIConnectOptions
from livekit.plugins import openai as plugin

from shared.local import faults
from shared.local import openai as stand_in
from shared.local.auth import KEY

KEY_IN_USE = "a-key"
LOOK_UP: Any = {
    "type": "function",
    "function": {
        "name": "find_answer",
        "description": "Find the answer to a question about delivery.",
        "parameters": {
            "type": "object",
            "properties": {"question": {"type": "string", "description": "The caller's question."}},
            "required": ["question"],
        },
    },
}
QUESTION = "How long does a delivery take?"
ASKING: Any = [{"role": "user", "content": QUESTION}]
GREETING: Any = [{"role": "user", "content": "Hello."}]


@function_tool
async def find_answer(question: str) -> str:
    """Find the answer to a question about delivery.

    Args:
        question: The caller's question, in their own words.
    """
    return question


@pytest.fixture
async def server() -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app[KEY] = KEY_IN_USE
    faults.add_routes(app)
    stand_in.add_routes(app)
    async with TestServer(app, host="127.0.0.1") as running:
        yield running


@pytest.fixture
async def client(server: BaseTestServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key=KEY_IN_USE, base_url=str(server.make_url("/v1")), max_retries=0, timeout=5
    ) as made:
        yield made


@pytest.fixture
async def model(server: BaseTestServer) -> AsyncIterator[llm.LLM[Any]]:
    async with plugin.LLM(
        model="gpt-4.1-mini", api_key=KEY_IN_USE, base_url=str(server.make_url("/v1"))
    ) as made:
        yield made


async def order(server: BaseTestServer, **fault: Any) -> None:
    """Make the next completion go wrong."""
    headers = {"Authorization": f"Bearer {KEY_IN_USE}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(server.make_url("/_faults"), json={"endpoint": "chat", **fault}) as response,
    ):
        assert response.status == 204


async def raw(server: BaseTestServer, body: object, key: str = KEY_IN_USE) -> tuple[int, str]:
    """Status and text of a completion as they are on the wire."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(server.make_url("/v1/chat/completions"), json=body) as response,
    ):
        return response.status, await response.text()


async def collect(stream: llm.LLMStream) -> tuple[str, list[llm.FunctionToolCall]]:
    """What LiveKit's plugin makes of a stream."""
    text, calls = "", []
    async with stream:
        async for chunk in stream:
            if chunk.delta is not None:
                text += chunk.delta.content or ""
                calls += chunk.delta.tool_calls
    return text, calls


def spoken_by_caller(text: str) -> llm.ChatContext:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content=text)
    return context


async def test_models_are_listed(client: Any) -> None:
    """OpenAI's client lists the one model there is: it is what the plugin's prewarm asks for."""
    listed = await client.models.list()

    assert [model.id for model in listed.data] == [stand_in.MODEL]


async def test_streamed_sentence_comes_in_pieces(server: BaseTestServer) -> None:
    """A streamed sentence is a role, pieces of a few words, a reason to end, its cost, and the end mark."""
    body = {
        "model": "any",
        "messages": GREETING,
        "stream": True,
        "stream_options": {"include_usage": True},
    }

    _, text = await raw(server, body)

    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    first, *pieces, end, usage = [json.loads(event) for event in events[:-1]]
    assert first["choices"][0]["delta"]["role"] == "assistant"
    said = [piece["choices"][0]["delta"]["content"] for piece in pieces]
    assert len(said) > 1
    assert all(0 < len(piece.split()) <= 3 for piece in said)
    assert end["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == (
        usage["usage"]["prompt_tokens"] + usage["usage"]["completion_tokens"]
    )


async def test_streamed_and_whole_answers_agree(client: Any) -> None:
    """The same request says the same, streamed or not, in the model's name that was asked for."""
    whole = await client.chat.completions.create(model="any", messages=GREETING)
    stream = await client.chat.completions.create(model="any", messages=GREETING, stream=True)
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(pieces) == whole.choices[0].message.content
    assert whole.model == "any"
    assert whole.usage.total_tokens > 0


async def test_streamed_tool_call_is_put_together(client: Any) -> None:
    """A call names its tool first and brings the arguments in pieces that make valid JSON."""
    stream = await client.chat.completions.create(
        model="any", messages=ASKING, tools=[LOOK_UP], stream=True
    )
    chunks = [chunk async for chunk in stream]

    parts = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert parts[0].function.name == "find_answer"
    assert parts[0].id
    assert parts[0].type == "function"
    assert len(parts) > 2
    assert json.loads("".join(part.function.arguments for part in parts)) == {"question": QUESTION}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_whole_tool_call(client: Any) -> None:
    """An answer that is not streamed carries a call with all its arguments."""
    answer = await client.chat.completions.create(model="any", messages=ASKING, tools=[LOOK_UP])

    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "find_answer",
        {"question": QUESTION},
    )
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_wrong_key_is_refused(server: BaseTestServer) -> None:
    """A wrong key is OpenAI's own authentication error, for models and completions."""
    async with openai.AsyncOpenAI(
        api_key="another", base_url=str(server.make_url("/v1")), max_retries=0
    ) as stranger:
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            await stranger.models.list()
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.chat.completions.create(model="any", messages=GREETING)
    assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"messages": GREETING}, id="no model"),
        pytest.param({"model": "any", "messages": []}, id="no message"),
        pytest.param({"model": "any", "messages": "my secret"}, id="messages are no list"),
        pytest.param(
            {"model": "any", "messages": GREETING, "tool_choice": "my secret"}, id="choice"
        ),
        pytest.param(["my secret"], id="no object"),
    ],
)
async def test_bad_body_is_refused(server: BaseTestServer, body: object) -> None:
    """A body that is no request is answered by 400 in OpenAI's shape, and nothing of it is quoted."""
    status, text = await raw(server, body)

    assert status == 400
    assert json.loads(text)["error"]["type"] == "invalid_request_error"
    assert "my secret" not in text


async def test_plugin_hears_a_sentence(model: llm.LLM[Any]) -> None:
    """LiveKit's plugin reads a sentence."""
    text, calls = await collect(model.chat(chat_ctx=spoken_by_caller("Hello.")))

    assert text
    assert not calls


async def test_plugin_gets_a_tool_call(model: llm.LLM[Any]) -> None:
    """LiveKit's plugin, with the strict schema that it makes of a tool, reads a call."""
    _, calls = await collect(model.chat(chat_ctx=spoken_by_caller(QUESTION), tools=[find_answer]))

    (call,) = calls
    assert (call.name, json.loads(call.arguments)) == ("find_answer", {"question": QUESTION})


async def test_session_holds_a_conversation(model: llm.LLM[Any]) -> None:
    """LiveKit's session asks, reads back, calls the tool with what was said, and speaks its result."""
    booked: list[tuple[int, str]] = []

    @function_tool
    async def book_table(party_size: int, area: Literal["inside", "terrace"]) -> str:
        """Book a table. Read everything back and get a yes before you call this.

        Args:
            party_size: How many people.
            area: Where to sit.
        """
        booked.append((party_size, area))
        return "Your table is booked."

    agent = Agent(instructions="You are the booking agent.", tools=[book_table])
    async with AgentSession(llm=model) as session:
        await session.start(agent)
        said = []
        for text in ("A table for four, please.", "On the terrace.", "Yes."):
            await session.run(user_input=text)
            said.append(session.history.messages()[-1].text_content or "")

    assert said[0] == "Where would you like to sit: inside or terrace?"
    assert said[1].endswith("four people and the area is terrace. Is that right?")
    assert said[2].startswith("Your table is booked.")
    assert booked == [(4, "terrace")]


async def test_refused_completion(server: BaseTestServer, model: llm.LLM[Any]) -> None:
    """A refusal reaches LiveKit's plugin with its status, once."""
    await order(server, kind="refuse", status=401)
    once = APIConnectOptions(max_retry=0)

    with pytest.raises(APIStatusError) as refused:
        await collect(model.chat(chat_ctx=spoken_by_caller("Hello."), conn_options=once))

    assert refused.value.status_code == 401
    text, _ = await collect(model.chat(chat_ctx=spoken_by_caller("Hello."), conn_options=once))
    assert text


@pytest.mark.parametrize("after_s", [0.0, 0.05])
async def test_dropped_completion(
    server: BaseTestServer, model: llm.LLM[Any], after_s: float
) -> None:
    """A connection cut before or during the answer is a connection error for LiveKit's plugin."""
    await order(server, kind="drop", after_s=after_s)

    with pytest.raises(APIConnectionError):
        await collect(
            model.chat(
                chat_ctx=spoken_by_caller("Hello."), conn_options=APIConnectOptions(max_retry=0)
            )
        )


@pytest.mark.parametrize(("after_s", "begun"), [(0.0, False), (0.05, True)])
async def test_dropped_stream_has_begun_or_not(
    server: BaseTestServer, client: Any, after_s: float, begun: bool
) -> None:
    """A drop with a delay leaves a first piece behind; one without leaves nothing."""
    await order(server, kind="drop", after_s=after_s)
    said: list[str] = []

    async def listen() -> None:
        stream = await client.chat.completions.create(model="any", messages=GREETING, stream=True)
        async for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")

    with pytest.raises(Exception, match=r".*") as caught:
        await listen()

    assert isinstance(caught.value, openai.APIError | OSError) or "incomplete" in str(caught.value)
    assert bool("".join(said)) is begun


async def test_hanging_completion(server: BaseTestServer, client: Any) -> None:
    """A completion that hangs says nothing until the client gives up."""
    await order(server, kind="hang")

    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.2).chat.completions.create(
            model="any", messages=GREETING, stream=True
        )


async def test_delayed_completion(server: BaseTestServer, client: Any) -> None:
    """A delayed completion is too late for a client in a hurry and whole for one that waits."""
    await order(server, kind="delay", after_s=0.4, times=2)

    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.1).chat.completions.create(
            model="any", messages=GREETING
        )
    answer = await client.chat.completions.create(model="any", messages=GREETING)

    assert answer.choices[0].message.content
