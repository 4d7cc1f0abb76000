"""Handing a call to another agent in the same session, with what was learned and without a second greeting."""

from __future__ import annotations

from typing import Any

import structlog
from livekit.agents import Agent, RunContext, ToolError, function_tool, llm

from shared import registry
from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.marks import FromCaller, Hidden, marked
from shared.metadata.parse import check_metadata
from shared.session.call import Call
from shared.session.make import make_agent

MAX_HANDOFFS = 4
"""More than this in one call is a loop between two agents."""

log = structlog.get_logger(__name__)


def handoff_tools(call: Call) -> list[llm.Tool | llm.Toolset]:
    """One tool for each agent that conf lets this one hand over to."""
    return [_handoff_tool(target) for target in call.config.handoffs[call.in_charge]]


def _handoff_tool(target: str) -> llm.Tool:
    """A tool whose parameters are the fields of the target's contract that a caller may fill, all optional."""
    contract = registry.contract(target)
    shown = marked(contract, FromCaller) - marked(contract, Hidden)
    fields = {
        name: {"type": ["string", "null"], "description": field.description or name}
        for name, field in contract.model_fields.items()
        if name in shown
    }
    words = target.replace("_", " ")
    purpose = (registry.agent_class(target).__doc__ or "").strip().splitlines()[0]

    async def transfer(raw_arguments: dict[str, Any], ctx: RunContext[Call]) -> Agent:
        return await hand_over(ctx, target, {k: v for k, v in raw_arguments.items() if v})

    return function_tool(
        transfer,
        raw_schema={
            "name": f"transfer_to_{target}",
            "description": f"Hand the caller to {words}: {purpose} Call it when the caller asks for {words}. Pass on what you know.",
            "parameters": {"type": "object", "properties": fields, "required": []},
        },
    )


async def hand_over(ctx: RunContext[Call], target: str, learned: dict[str, Any]) -> Agent:
    """Make the target agent take this session over.

    What was learned joins what the dispatch said and is checked against the target's contract; the session's plugins stay.

    Raises:
        ToolError: The model is told which value does not fit, or that the call was handed around too often.
    """
    call = ctx.userdata
    if len(call.handoffs) >= MAX_HANDOFFS:
        raise ToolError("The call was handed over too often. Help the caller yourself.")
    contract = registry.contract(target)
    known = _known(call.metadata, contract) | learned
    try:
        metadata = check_metadata(known, contract, strict=False)
    except MetadataError as err:
        fields = ", ".join(problem.pointer.strip("/") for problem in err.problems)
        raise ToolError(
            f"These values do not fit: {fields}. Ask the caller for them again, or leave them out."
        ) from None
    call.metadata, call.missing = metadata, ()
    call.in_charge = target
    call.handoffs.append(target)
    call.record.append(
        "handoff", to=target, metadata=metadata.model_dump(mode="json", exclude_none=True)
    )
    log.info("call handed over", to=target)
    call.history = ctx.session.history.copy(exclude_instructions=True, exclude_handoff=True)
    return await make_agent(target, call)


def _known(metadata: CallMetadata, contract: type[CallMetadata]) -> dict[str, Any]:
    """What the agent before knew, for the fields that both contracts have."""
    known = metadata.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in known.items() if name in contract.model_fields}
