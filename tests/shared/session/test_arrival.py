"""What a caller brings joins what the dispatch said, once the caller is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import pytest

from shared.metadata.contract import CallMetadata, Text
from shared.metadata.marks import FromCaller, Personal
from shared.metadata.merge import Caller, load
from shared.session.arrival import Load, meet
from tests.shared.session.calls import DeskAgent, Person, Stage, stage


class DeskMetadata(CallMetadata):
    """A contract that cannot do without a ticket, which the caller may bring."""

    ticket: Annotated[Text, Personal, FromCaller]


def untuned(_: CallMetadata) -> None:
    """The plugins of these calls stay as they are."""


def loading(job: str, *, degrade: bool = False) -> Load:
    """What a job makes of its sources."""
    loader = partial(load, DeskMetadata, job=job, degrade=degrade)
    return lambda caller: loader(caller=caller)


def begun(job: str) -> DeskMetadata:
    """The metadata of a call before its caller is there."""
    return load(DeskMetadata, job=job).metadata


async def outcome(on: Stage) -> tuple[str | None, str | None]:
    """Outcome and code of the record, once the call's own work is done."""
    await asyncio.gather(*on.call._tasks)
    [event] = on.events("outcome")
    return event.data["outcome"], event.data["code"]


async def test_what_a_caller_brings_reaches_model_record_and_redaction(tmp_path: Path) -> None:
    """Fields of the caller's token are in the instructions and in the record, and no log line shows them."""
    job = '{"user_id": "7"}'
    prompts = "Ticket: {{ ticket }}. Missing: {{ missing }}."
    with stage(tmp_path, begun(job), instructions=prompts) as on:
        agent = DeskAgent(on.call)
        await on.session.start(agent)
        assert "Ticket: unknown." in str(agent.instructions)

        on.door.set_result(Person(metadata='{"ticket": "Nightingale", "user_id": "8"}'))
        await meet(on.call, on.session, untuned, loading(job))

        assert 'Ticket: "Nightingale".' in str(agent.instructions)
        assert on.call.metadata.user_id == "7"
        event = on.events("caller")[0].data
        assert event["metadata"]["ticket"] == "Nightingale"
        assert event["sources"]["ticket"] == "participant metadata"
        assert "Nightingale" not in on.call.redactor.text("about Nightingale")
        await on.session.aclose()


async def test_a_field_that_never_comes_ends_the_call(tmp_path: Path) -> None:
    """The caller is there without what the contract asks for: an apology, and the outcome says which kind of misfit."""
    job = '{"user_id": "7"}'
    with stage(tmp_path, begun(job)) as on:
        await on.session.start(DeskAgent(on.call))
        on.door.set_result(Person())
        await meet(on.call, on.session, untuned, loading(job))

        assert await outcome(on) == ("refused", "metadata.missing")
        await on.session.aclose()


async def test_a_deadline_stands_in_for_a_caller(tmp_path: Path) -> None:
    """Nobody came in time: the contract is judged as it is, and whoever waits for the caller goes on."""
    job = '{"user_id": "7"}'
    with stage(tmp_path, begun(job)) as on:
        await on.session.start(DeskAgent(on.call))
        meeting = asyncio.create_task(
            meet(on.call, on.session, untuned, loading(job), limit_s=0.01)
        )

        await asyncio.wait_for(on.call.arrived.wait(), 1)
        assert await outcome(on) == ("refused", "metadata.missing")
        meeting.cancel()
        await on.session.aclose()


async def test_a_late_caller_is_met(tmp_path: Path) -> None:
    """Who comes after the deadline brings as much as one who came before."""
    job = '{"user_id": "7", "ticket": "T-1"}'
    with stage(tmp_path, begun(job)) as on:
        await on.session.start(DeskAgent(on.call))
        meeting = asyncio.create_task(
            meet(on.call, on.session, untuned, loading(job), limit_s=0.01)
        )
        await asyncio.wait_for(on.call.arrived.wait(), 1)
        assert on.events("caller") == []

        on.door.set_result(Person(attributes={"user_name": "Ada"}))
        await asyncio.wait_for(meeting, 1)
        assert on.call.metadata.user_name == "Ada"
        assert on.call.outcome is None
        await on.session.aclose()


async def test_a_degraded_call_goes_on_and_its_agent_knows(tmp_path: Path) -> None:
    """With `policy.on_misfit: degrade` the call is taken, and prompts may name what is missing."""
    job = '{"user_phone": "nonsense"}'
    early = load(DeskMetadata, job=job, degrade=True)
    with stage(tmp_path, early.metadata, instructions="Ask for {{ missing }}.") as on:
        agent = DeskAgent(on.call)
        await on.session.start(agent)
        on.door.set_result(Person())
        await meet(on.call, on.session, untuned, loading(job, degrade=True))

        assert on.call.outcome is None
        assert set(on.call.missing) == {"user_phone", "ticket"}
        assert "ticket" in str(agent.instructions)
        await on.session.aclose()


async def test_after_a_handoff_the_metadata_is_another_agents(tmp_path: Path) -> None:
    """A caller who comes late does not bring the first agent's contract back."""
    job = '{"user_id": "7", "ticket": "T-1"}'
    with stage(tmp_path, begun(job)) as on:
        await on.session.start(DeskAgent(on.call))
        on.call.handoffs.append("support")
        on.door.set_result(Person(attributes={"user_name": "Ada"}))
        await meet(on.call, on.session, untuned, loading(job))
        assert on.call.metadata.user_name is None
        await on.session.aclose()


class Ahead:
    """A sentence made ahead, of which only the text matters here."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.stopped = False

    async def frames(self) -> None:
        return None

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(
    ("greeting", "waits", "says"),
    [
        ("Hello.", False, "Hello."),
        ("Hello {{ ticket }}.", False, "Hello T-1."),
        ("Hello {{ user_id }}.", False, "Hello 7."),
        ("Hello {{ user_name or 'you' }}.", True, "Hello Ada."),
    ],
)
async def test_a_greeting_waits_only_for_what_it_uses(
    tmp_path: Path, greeting: str, waits: bool, says: str
) -> None:
    """It waits, and holds nothing up, where it uses a field that is missing and open to the caller; it is made anew where the caller brought it."""
    job = '{"user_id": "7", "ticket": "T-1"}'
    with stage(tmp_path, begun(job), greeting=greeting) as on:
        await on.session.start(DeskAgent(on.call))
        ahead = Ahead(on.call.render("greeting"))
        on.call.greeting = ahead  # type: ignore[assignment]
        await on.call.enter(on.session)
        assert (on.call.greeting is not None) is waits

        on.door.set_result(Person(attributes={"user_name": "Ada"}))
        await meet(on.call, on.session, untuned, loading(job))
        assert await said(on.said) == [says]
        assert on.call.greeting is None
        assert ahead.stopped is waits
        await on.session.aclose()


async def said(look: Callable[[], list[str]]) -> list[str]:
    """What was said, once something was."""
    async with asyncio.timeout(5):
        while not look():
            await asyncio.sleep(0.01)
    return look()


def test_nobody_is_no_caller() -> None:
    """After the deadline the refusal says that nobody came."""
    with pytest.raises(Exception, match="no caller is in the room yet"):
        load(DeskMetadata, caller=Caller(""))
