"""The caller comes into the room: what it brings joins what the dispatch said, and the contract is judged once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from livekit import rtc
from livekit.agents import AgentSession

from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.merge import Caller, Loaded
from shared.session.call import Call

ARRIVAL_LIMIT_S = 30.0
"""After this the contract is judged without a caller, and a greeting waits no longer."""

NO_CALLER = Caller("")

Load = Callable[[Caller], Loaded[CallMetadata]]
"""`merge.load` with everything of the call but the caller."""

Tune = Callable[[CallMetadata], None]

log = structlog.get_logger(__name__)


async def meet(
    call: Call,
    session: AgentSession[Call],
    tune: Tune,
    load: Load,
    *,
    seen: Sequence[str] = (),
    limit_s: float = ARRIVAL_LIMIT_S,
) -> None:
    """Wait for the caller and take what it brings; end the call where the contract misses something for good.

    `tune` brings the plugins to what the metadata asks for. Notes that were `seen` are not logged again.

    Whoever comes after the limit is met all the same.
    """
    coming = asyncio.ensure_future(call.ctx.wait_for_participant())
    try:
        done, _ = await asyncio.wait({coming}, timeout=limit_s)
        if not done:
            await _take(call, session, tune, load, NO_CALLER)
            call.arrived.set()
        loaded = await _take(call, session, tune, load, _caller(await coming))
        if loaded is not None:
            notes = [note for note in loaded.notes if note not in seen]
            log.info("caller is here", notes=notes, missing=list(call.missing))
    except RuntimeError:
        call.deserted = True
        log.debug("the room closed before a caller came")
    finally:
        coming.cancel()
        call.arrived.set()


async def _take(
    call: Call, session: AgentSession[Call], tune: Tune, load: Load, caller: Caller
) -> Loaded[CallMetadata] | None:
    """What is known now, put in force; `None` where it no longer counts or ended the call."""
    if call.handoffs or call.failing:
        return None  # the metadata is another agent's by now, or the call is over
    try:
        loaded = load(caller)
    except MetadataError as err:
        call.refuse(session, err)
        return None
    before = call.render("instructions")
    call.metadata, call.missing = loaded.metadata, loaded.missing_fields
    call.redactor.cover(loaded.metadata)
    tune(loaded.metadata)
    if caller is not NO_CALLER:
        call.record.append(
            "caller",
            metadata=loaded.metadata.model_dump(mode="json", exclude_none=True),
            sources={name: str(source) for name, source in loaded.sources.items()},
            missing=call.missing,
        )
    after = call.render("instructions")
    if after != before and session.current_agent.instructions == before:
        await session.current_agent.update_instructions(after)
    return loaded


def _caller(person: rtc.RemoteParticipant) -> Caller:
    is_sip = person.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
    return Caller(person.identity, person.metadata, dict(person.attributes), is_sip)
