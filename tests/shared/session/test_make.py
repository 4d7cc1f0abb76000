"""Hidden fields reach tools and never the model, through LiveKit's own machinery."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from livekit.agents import Agent, RunContext, function_tool, llm
from livekit.agents.types import APIConnectOptions

from shared import registry
from shared.errors import ConfigError
from shared.metadata.contract import CallMetadata, Text
from shared.metadata.marks import FromCaller, Hidden
from shared.prompts import Prompts, check
from shared.session.call import Call
from shared.session.handoff import _handoff_tool
from shared.session.make import make_agent
from tests.shared.session.calls import stage


class DeskMetadata(CallMetadata):
    """A contract with two fields that the model may not see."""

    account: Annotated[Text | None, Hidden] = None
    pin: Annotated[Text | None, Hidden, FromCaller] = None


class DeskAgent(Agent):
    """Reads invoices."""

    def __init__(self, call: Call) -> None:
        super().__init__(instructions=call.render("instructions"))
        self.read: list[tuple[str | None, str, int]] = []

    @function_tool
    async def read_invoice(
        self, ctx: RunContext[Call], account: str | None, month: str, copies: int = 1
    ) -> str:
        """Read an invoice.

        Args:
            account: The account.
            month: The month.
            copies: How many.
        """
        assert ctx.userdata.id == "c-1"
        self.read.append((account, month, copies))
        return "Ten dollars."

    @function_tool
    async def hang_up(self, ctx: RunContext[Call]) -> None:
        """End the call."""


class Model(llm.LLM[str]):
    """A model that calls one tool, as it was told to by somebody hostile, and then says its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.schemas: list[dict[str, Any]] = []

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = APIConnectOptions(),  # noqa: B008 (LiveKit's own way)
        **_: Any,
    ) -> llm.LLMStream:
        self.schemas = llm.ToolContext(tools or []).parse_function_tools("openai", strict=True)
        return Answer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Answer(llm.LLMStream):
    async def _run(self) -> None:
        outputs = [item for item in self.chat_ctx.items if item.type == "function_call_output"]
        if outputs:
            delta = llm.ChoiceDelta(role="assistant", content=outputs[-1].output)
        else:
            arguments = json.dumps({"month": "May", "copies": 2, "account": "stolen"})
            call = llm.FunctionToolCall(name="read_invoice", arguments=arguments, call_id="1")
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent `desk` in the registry."""
    contract: Callable[[str], type[CallMetadata]] = lambda _: DeskMetadata  # noqa: E731
    agent: Callable[[str], type[Agent]] = lambda _: DeskAgent  # noqa: E731
    monkeypatch.setattr(registry, "contract", contract)
    monkeypatch.setattr(registry, "agent_class", agent)


@pytest.mark.usefixtures("desk")
async def test_a_hidden_field_is_filled_in_and_not_asked_for(tmp_path: Path) -> None:
    """The model's schema lacks the parameter, what it sends for it is ignored, and the tool gets the metadata in force."""
    with stage(tmp_path, DeskMetadata(user_id="1")) as on:
        agent = await make_agent("desk", on.call)
        assert isinstance(agent, DeskAgent)
        on.call.metadata = DeskMetadata(user_id="1", account="A-7")  # the caller brought it
        model = Model()
        agent._llm = model
        await on.session.start(agent)
        await on.session.run(user_input="Read it to me.")
        await on.session.aclose()

    assert agent.read == [("A-7", "May", 2)]
    named = {schema["function"]["name"]: schema["function"] for schema in model.schemas}
    assert list(named["read_invoice"]["parameters"]["properties"]) == ["month", "copies"]
    assert named["hang_up"]["parameters"]["properties"] == {}
    assert "account" not in json.dumps(model.schemas)


@pytest.mark.usefixtures("desk")
def test_a_handoff_does_not_ask_for_a_hidden_field() -> None:
    """A field that is open to callers and hidden is no parameter of the handoff's tool."""
    tool = _handoff_tool("desk")
    assert isinstance(tool, llm.RawFunctionTool)
    fields = tool.info.raw_schema["parameters"]["properties"]
    assert set(fields) == {"user_name", "user_phone", "locale"}


def test_no_prompt_may_use_a_hidden_field(tmp_path: Path) -> None:
    """Neither instructions nor spoken text: the host does not start."""
    for name in ("instructions", "greeting"):
        folder = tmp_path / name
        (folder / "prompts").mkdir(parents=True)
        (folder / "prompts" / f"{name}.md").write_text("Hi\n{{ account }}")
        with pytest.raises(ConfigError, match=rf"{name}\.md:2: unknown name 'account'"):
            check(Prompts.load(folder), DeskMetadata)
