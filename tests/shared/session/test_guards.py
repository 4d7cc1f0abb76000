"""An agent that owes a word: what happens when its model says nothing and reports no error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from livekit.agents import Agent, function_tool
from livekit.plugins import openai

from shared.local import faults
from shared.local import openai as stand_in
from shared.local.auth import KEY
from shared.metadata.contract import CallMetadata
from shared.session import guards
from shared.session.call import Call
from shared.session.events import follow
from tests.shared.session.calls import Stage, stage

GREETING = "Hello."
APOLOGY = "I am sorry."
LIMIT_S = 1.0
"""Of silence. A machine with much to do takes a third of it for a reply."""


@pytest.fixture
async def server() -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app[KEY] = "a-key"
    faults.add_routes(app)
    stand_in.add_routes(app)
    async with TestServer(app, host="127.0.0.1") as running:
        yield running


@pytest.fixture
async def guarded(
    server: BaseTestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """A call in writing that was greeted, with little patience. Somebody is in its room."""
    monkeypatch.setattr(guards, "ANSWER_LIMIT_S", LIMIT_S)
    monkeypatch.setattr(Call, "has_caller", lambda _: True)
    model = openai.LLM(model="any", api_key="a-key", base_url=str(server.make_url("/v1")))
    with stage(tmp_path, CallMetadata(user_id="1")) as made:
        follow(made.session, made.call)
        guards.guard(made.session, made.call)
        await made.session.start(Agent(instructions="Help.", llm=model))
        await made.session.say(GREETING)
        yield made
        await made.session.aclose()
        await model.aclose()


async def fall_silent(server: BaseTestServer, **order: object) -> None:
    """Completions keep their streams open and say nothing."""
    order |= {"endpoint": "chat", "kind": "silence"}
    headers = {"Authorization": "Bearer a-key"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(server.make_url("/_faults"), json=order) as response,
    ):
        assert response.status == 204


async def replied(on: Stage, count: int) -> list[str]:
    """What the agent said, once it is so much."""
    async with asyncio.timeout(10):
        while len(on.said()) < count:
            await asyncio.sleep(0.01)
    return on.said()


async def test_a_model_that_stays_silent(server: BaseTestServer, guarded: Stage) -> None:
    """The last words are said again; the second silence in a row ends the call with an apology and a code."""
    await fall_silent(server, times=None)

    guarded.session.generate_reply(user_input="My parcel is late.")
    assert await replied(guarded, 2) == [GREETING, GREETING]
    assert guarded.call.outcome is None
    guarded.session.generate_reply(user_input="Hello?")
    assert (await replied(guarded, 3))[2] == APOLOGY

    await asyncio.gather(*guarded.call._tasks)
    [event] = guarded.events("outcome")
    assert (event.data["outcome"], event.data["code"]) == ("failed", "provider.silent")


async def test_an_answer_makes_up_for_a_silence(server: BaseTestServer, guarded: Stage) -> None:
    """Between two silences the agent answered: the second one counts as the first."""
    await fall_silent(server, times=1)
    await fall_silent(server, times=1, skip=1)

    guarded.session.generate_reply(user_input="My parcel is late.")
    await replied(guarded, 2)
    await guarded.session.generate_reply(user_input="My parcel is late.")
    answer = guarded.said()[2]
    guarded.session.generate_reply(user_input="Yes.")

    assert (await replied(guarded, 4))[3] == answer
    assert guarded.call.outcome is None
    assert not guarded.call.failing


async def test_a_call_that_is_answered_is_left_alone(guarded: Stage) -> None:
    """An agent that has said what it owed may be silent for as long as it likes."""
    await asyncio.sleep(1.5 * LIMIT_S)

    assert guarded.said() == [GREETING]


async def test_a_tool_that_runs_is_waited_for(guarded: Stage) -> None:
    """A long tool is work, and nobody talks over it."""
    begun, done = asyncio.Event(), asyncio.Event()

    @function_tool
    async def find_answer(question: str) -> str:
        """Find the answer to a question about delivery.

        Args:
            question: The caller's question, in their own words.
        """
        begun.set()
        await done.wait()
        return "Three to five working days."

    await guarded.session.current_agent.update_tools([find_answer])
    reply = guarded.session.generate_reply(user_input="How long does a delivery take?")
    await asyncio.wait_for(begun.wait(), 10)
    await asyncio.sleep(1.5 * LIMIT_S)
    assert guarded.said() == [GREETING]

    done.set()
    await reply
    assert "Three to five working days" in (await replied(guarded, 2))[1]
