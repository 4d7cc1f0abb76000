"""What runs in a job process: one dispatch becomes one call."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from livekit import rtc
from livekit.agents import Agent, AgentSession, JobContext, JobProcess

from shared import registry
from shared.config.snapshot import Snapshot, load_snapshot, resolve
from shared.dispatch.identity import HANDOFF, RESUME, STATE, attempt, call_id
from shared.dispatch.reference import referenced
from shared.host.lineage import die_with_parent
from shared.metadata import merge
from shared.prompts import Prompts
from shared.records.spool import Spool
from shared.session.arrival import meet
from shared.session.build import Plugins, build_plugins, build_room_options, build_session
from shared.session.call import Call
from shared.session.events import follow
from shared.session.guards import guard
from shared.session.lifeline import Lifeline
from shared.session.live import LiveMetadata
from shared.session.make import make_agent
from shared.session.mute import watch_first_audio
from shared.session.resume import past
from shared.session.speech import speak_ahead
from shared.session.tuning import Tuning
from shared.telemetry import logs
from shared.telemetry.redaction import Redactor

CALL = "call"
"""Where a job process keeps its call."""

WARM = "warm"
"""Where it keeps what was made before its job."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class JobSettings:
    """What every job of one agent server is told. Pickled into the job process.

    Attributes:
        snapshot: The stored snapshot, or a link to the newest one.
        line: Socket of the host that looks after its jobs.
        speech: Folder of first sentences that were spoken before.
    """

    agent: str
    snapshot: Path
    records: Path
    endpoints: Mapping[str, str]
    log_level: str
    line: Path
    speech: Path


@dataclass(frozen=True)
class Warm:
    """What a job process has ready when its job comes: one process serves one call, so nothing of it is shared."""

    path: Path
    snapshot: Snapshot
    plugins: Plugins


def prewarm(settings: JobSettings, process: JobProcess) -> None:
    """Make in the idle process what any call of this agent needs: config, plugins, prompts, the WebRTC runtime."""
    die_with_parent()
    logs.configure_job(level=settings.log_level)
    process.userdata[WARM] = _warm(settings)
    registry.contract(settings.agent)
    registry.agent_class(settings.agent)
    rtc.AudioResampler(24000, 48000)  # its first object starts the runtime


def _warm(settings: JobSettings) -> Warm:
    path = settings.snapshot.resolve()
    snapshot = load_snapshot(path)
    prompts_of(snapshot, settings.agent)
    plugins = build_plugins(resolve(snapshot, settings.agent), settings.endpoints)
    return Warm(path, snapshot, plugins)


def prompts_of(snapshot: Snapshot, agent: str) -> Prompts:
    """The prompts of an agent as the snapshot has them."""
    return Prompts.of(registry.folder(agent), snapshot.prompts[agent])


async def entrypoint(settings: JobSettings, ctx: JobContext) -> None:
    """Serve one call.

    The metadata is read again here: the offer was judged in the host, and the job must not rely on another process's objects.
    """
    agent = settings.agent
    warm: Warm = ctx.proc.userdata[WARM]
    if settings.snapshot.resolve() != warm.path:
        warm = _warm(settings)  # conf or a prompt was edited meanwhile
    job = ctx.job
    attributes = dict(job.attributes)
    line = await Lifeline.open(settings.line, job.id)
    events = await line.history()
    load = partial(
        merge.load,
        registry.contract(agent),
        job=referenced(events, attributes) or job.metadata,
        job_attributes=attributes,
        room=job.room.metadata,
        degrade=warm.snapshot.policy["on_misfit"] == "degrade",
    )
    loaded = load()
    metadata = loaded.metadata
    config = resolve(
        warm.snapshot,
        agent,
        profile=metadata.profile,
        locale=metadata.locale,
        overrides=metadata.config,
    )
    redactor = Redactor.of(metadata)
    call_key = call_id(attributes, job.dispatch_id)
    before = past(events)
    logs.bind_call(
        redactor, call_id=call_key, agent=agent, dispatch=job.dispatch_id, digest=config.digest
    )
    call = Call(
        id=call_key,
        ctx=ctx,
        config=config,
        in_charge=agent,
        metadata=metadata,
        prompts_of=partial(prompts_of, warm.snapshot),
        record=Spool.open(settings.records, call_id=call_key, attempt=attempt(attributes)),
        redactor=redactor,
        missing=loaded.missing_fields,
        line=line,
    )
    ctx.proc.userdata[CALL] = call
    if HANDOFF in attributes and RESUME not in attributes:
        call.take_over(before)
    elif before is not None:
        call.take_up(before)
    try:
        plugins = warm.plugins
        if plugins.config != config:
            plugins = build_plugins(config, settings.endpoints)
        if plugins.tts is not None:
            call.greeting = speak_ahead(call, plugins.tts, settings.speech)
        # One connection for both directions is there earlier than two, and so is the track that waits for the second of them.
        connecting = asyncio.create_task(ctx.connect(single_peer_connection=True))
        await asyncio.sleep(0)  # it is begun, and waits for LiveKit while the session is built
        session, first = await _build(call, plugins)
        await connecting
        call.check_superseded()
        if call.superseded:
            return
        # For its effect: LiveKit tells of somebody without a track after up to 3 s, of an attribute at once.
        call.begin(call.show({STATE: "joining"}))
        await session.start(first, room=ctx.room, room_options=build_room_options(call))
    except Exception:
        # LiveKit reports a crashed job as a success; the host sends another one.
        call.lose("job.crashed")
        raise
    call.check_superseded()  # it may have come while this one connected
    tuning = Tuning(call, session, warm.snapshot, settings.endpoints)
    meeting = meet(
        call, session, tuning.apply, lambda caller: load(caller=caller), seen=loaded.notes
    )
    call.begin(meeting)
    call.begin(watch_first_audio(call, session))
    call.begin(LiveMetadata(call, session, tuning).follow())
    call.record.append(
        "joined",
        agent=agent,
        pid=os.getpid(),
        digest=config.digest,
        sources={name: str(source) for name, source in loaded.sources.items()},
        missing=loaded.missing_fields,
    )
    log.info("agent joined", notes=list(loaded.notes))
    await call.show({STATE: "ready"})
    call.tell("ready")


async def _build(call: Call, plugins: Plugins) -> tuple[AgentSession[Call], Agent]:
    """The session of a call, and the agent that it starts with."""
    session = build_session(call, plugins)
    follow(session, call)
    guard(session, call)
    return session, await make_agent(call.in_charge, call)


async def on_session_end(ctx: JobContext) -> None:
    """Settle what nothing else has settled: the caller was cut off, or has gone."""
    call: Call | None = ctx.proc.userdata.get(CALL)
    if call is None:
        return
    if call.has_caller():
        await call.settle("failed", code="host.stopped")
    else:
        await call.settle(call.ending or "abandoned")
    call.tell("bye", outcome=call.outcome)
    call.record.close()
    if call.line is not None:
        await call.line.close()
