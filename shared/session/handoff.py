"""Handing a call to another agent, with what was learned and without a second greeting.

The other agent takes this session over, or is dispatched into the room by its name: conf says which (`handoff_by`).
"""

from __future__ import annotations

from typing import Any

import structlog
from livekit.agents import Agent, RunContext, StopResponse, ToolError, function_tool, llm

from shared import registry
from shared.dispatch.dispatcher import Dispatcher, Order
from shared.dispatch.identity import HANDOFF, TYPED
from shared.errors import DispatchError, MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.marks import FromCaller, Hidden, marked
from shared.metadata.parse import check_metadata, dump
from shared.session.call import Call
from shared.session.make import make_agent

MAX_HANDOFFS = 4
"""More than this in one call is a loop between two agents."""

COMES_S = 5.0
"""Longest wait for a dispatched agent. The caller hears nothing meanwhile."""

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

    async def transfer(raw_arguments: dict[str, Any], ctx: RunContext[Call]) -> Agent | None:
        learned = {name: value for name, value in raw_arguments.items() if value}
        call = ctx.userdata
        if call.config.handoff_by[call.in_charge] == "session":
            return await hand_over(ctx, target, learned)
        await send_for(ctx, target, learned)
        raise StopResponse

    return function_tool(
        transfer,
        raw_schema={
            "name": f"transfer_to_{target}",
            "description": f"Hand the caller to {words}: {purpose} Call it when the caller asks for {words}. Pass on what you know.",
            "parameters": {"type": "object", "properties": fields, "required": []},
        },
    )


async def hand_over(ctx: RunContext[Call], target: str, learned: dict[str, Any]) -> Agent:
    """Make the target agent take this session over; the session's plugins stay.

    Raises:
        ToolError: As `_checked`.
    """
    call = ctx.userdata
    metadata = _checked(call, target, learned)
    _note(call, target, metadata, by="session")
    call.metadata, call.missing = metadata, ()
    call.in_charge = target
    log.info("call handed over", to=target)
    call.history = ctx.session.history.copy(exclude_instructions=True, exclude_handoff=True)
    return await make_agent(target, call)


async def send_for(ctx: RunContext[Call], target: str, learned: dict[str, Any]) -> None:
    """Have the target agent dispatched into the room, and leave it the call: the same call, its next attempt, another name.

    This one is silent and deaf until the other is there, goes on where it does not come, and leaves where it does.

    Raises:
        ToolError: As `_checked`; or nobody came.
    """
    call, session = ctx.userdata, ctx.session
    metadata = _checked(call, target, learned)
    await ctx.wait_for_playout()
    job = call.ctx.job
    _note(call, target, metadata, by="dispatch")
    order = Order(
        agent=target,
        room=job.room.name,
        metadata=dump(metadata),
        key=call.id,
        deployment=job.deployment,
        attempt=call.record.attempt + 1,
        attributes={HANDOFF: call.in_charge} | ({TYPED: "1"} if call.typed else {}),
    )
    session.input.set_audio_enabled(False)
    try:
        sent = await Dispatcher(call.ctx.api).dispatch(order, deadline_s=COMES_S)
    except DispatchError as err:
        log.warning("nobody came to take the call over", to=target, code=err.code)
        _note(call, call.in_charge, call.metadata, by="session")
        session.input.set_audio_enabled(True)
        words = target.replace("_", " ")
        raise ToolError(f"Nobody of {words} can take the call now. Say so and help.") from None
    log.info("call handed over", to=target, seconds=sent.seconds)
    call.make_way("handed over")


def _checked(call: Call, target: str, learned: dict[str, Any]) -> CallMetadata:
    """What the target is told: what was learned joins what the dispatch said, checked against the target's contract.

    Raises:
        ToolError: The model is told which value does not fit, or that the call was handed around too often.
    """
    if len(call.handoffs) >= MAX_HANDOFFS:
        raise ToolError("The call was handed over too often. Help the caller yourself.")
    contract = registry.contract(target)
    try:
        return check_metadata(_known(call.metadata, contract) | learned, contract, strict=False)
    except MetadataError as err:
        fields = ", ".join(problem.pointer.strip("/") for problem in err.problems)
        raise ToolError(
            f"These values do not fit: {fields}. Ask the caller for them again, or leave them out."
        ) from None


def _note(call: Call, target: str, metadata: CallMetadata, *, by: str) -> None:
    known = metadata.model_dump(mode="json", exclude_none=True)
    call.handoffs.append(target)
    call.record.append("handoff", to=target, by=by, metadata=known)


def _known(metadata: CallMetadata, contract: type[CallMetadata]) -> dict[str, Any]:
    """What the agent before knew, for the fields that both contracts have."""
    known = metadata.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in known.items() if name in contract.model_fields}
