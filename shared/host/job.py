"""What runs in a job process: one dispatch becomes one call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from livekit.agents import JobContext, JobProcess

from shared import registry
from shared.config.snapshot import load_snapshot, resolve
from shared.dispatch.identity import STATE, attempt, call_id
from shared.metadata import merge
from shared.prompts import Prompts
from shared.records.spool import Spool
from shared.session.build import build_plugin, build_session
from shared.session.call import Call, make_agent
from shared.session.events import follow
from shared.session.speech import SpeechAhead
from shared.telemetry import logs
from shared.telemetry.redaction import Redactor

CALL = "call"
"""Where a job process keeps its call."""

log = structlog.get_logger(__name__)


def prewarm(log_level: str, _: JobProcess) -> None:
    """Make a fresh job process ready, before it has a job."""
    logs.configure_job(level=log_level)


async def entrypoint(
    agent: str, snapshot: Path, records: Path, endpoints: dict[str, str], ctx: JobContext
) -> None:
    """Serve one call of `agent`.

    The metadata is read again here: the offer was judged in the host, and the job must not rely on another process's objects.
    """
    job = ctx.job
    attributes = dict(job.attributes)
    loaded = merge.load(
        registry.contract(agent),
        job=job.metadata,
        job_attributes=attributes,
        room=job.room.metadata,
    )
    metadata = loaded.metadata
    config = resolve(
        load_snapshot(snapshot), agent, profile=metadata.profile, overrides=metadata.config
    )
    redactor = Redactor.of(metadata)
    call_key = call_id(attributes, job.dispatch_id)
    logs.bind_call(
        redactor, call_id=call_key, agent=agent, dispatch=job.dispatch_id, digest=config.digest
    )
    call = Call(
        id=call_key,
        ctx=ctx,
        config=config,
        in_charge=agent,
        metadata=metadata,
        prompts=Prompts.load(registry.folder(agent)),
        record=Spool.open(records, call_id=call_key, attempt=attempt(attributes)),
        redactor=redactor,
    )
    ctx.proc.userdata[CALL] = call
    try:
        await _serve(call, agent, endpoints)
    except BaseException:
        # LiveKit reports a crashed job as a success; the record and the room must not.
        await call.settle("failed", code="job.crashed")
        raise
    call.record.append(
        "joined",
        agent=agent,
        digest=config.digest,
        sources={name: str(source) for name, source in loaded.sources.items()},
    )
    log.info("agent joined", notes=list(loaded.notes))
    await ctx.room.local_participant.set_attributes({STATE: "ready"})


async def _serve(call: Call, agent: str, endpoints: dict[str, str]) -> None:
    """Bring the agent into the room; its greeting is spoken into frames meanwhile."""
    voice = build_plugin(call.config.tts, endpoints)
    if voice is not None:
        call.greeting = SpeechAhead(voice, call.render("greeting"))
        await asyncio.sleep(0)  # its request is on the way before the rest is made
    session = build_session(call, voice, endpoints)
    follow(session, call)
    await session.start(make_agent(agent, call), room=call.ctx.room)


async def on_session_end(ctx: JobContext) -> None:
    """Settle what nothing else has settled: the caller was cut off, or has gone."""
    call: Call | None = ctx.proc.userdata.get(CALL)
    if call is None:
        return
    if call.has_caller():
        await call.settle("failed", code="host.stopped")
    else:
        await call.settle("abandoned")
    call.record.close()
