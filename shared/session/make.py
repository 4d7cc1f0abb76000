"""An agent for a call: its class, and its tools with the contract's `Hidden` fields filled in by parameter name.

    class BillingMetadata(CallMetadata):
        account: Annotated[Text, Hidden]

    @function_tool
    async def read_invoice(self, ctx: RunContext[Call], account: str, month: str) -> str: ...

The model knows of `month` alone and cannot set `account`: that is what the dispatch said.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast, get_type_hints

from livekit.agents import Agent, llm

from shared import registry
from shared.metadata.marks import Hidden, marked
from shared.session.call import Call

Tool = llm.Tool | llm.Toolset


async def make_agent(name: str, call: Call) -> Agent:
    """The agent of this name, in charge of `call`. Every agent's class takes the call and nothing else."""
    make = cast(Callable[[Call], Agent], registry.agent_class(name))
    agent = make(call)
    hidden = marked(registry.contract(name), Hidden)
    if hidden:
        await agent.update_tools([_filled(tool, hidden, call) for tool in agent.tools])
    agent.update_options(**call.swapped)
    return agent


def _filled(tool: Tool, fields: frozenset[str], call: Call) -> Tool:
    """The tool as the model may see it. A raw schema is written by hand and stays as it is."""
    if not isinstance(tool, llm.FunctionTool):
        return tool
    whole = inspect.signature(tool)
    hidden = fields & whole.parameters.keys()
    if not hidden:
        return tool
    shown = whole.replace(
        parameters=[one for one in whole.parameters.values() if one.name not in hidden]
    )
    work: Callable[..., Awaitable[Any]] = tool

    @functools.wraps(tool)
    async def filled(*given: Any, **named: Any) -> Any:
        # Read now: the caller's arrival may have brought the value since.
        known = {field: getattr(call.metadata, field, None) for field in hidden}
        return await work(**shown.bind(*given, **named).arguments, **known)

    hints = get_type_hints(tool, include_extras=True)
    filled.__signature__ = shown  # type: ignore[attr-defined]
    filled.__annotations__ = {key: hint for key, hint in hints.items() if key not in hidden}
    return llm.FunctionTool(filled, tool.info)
