"""Answering LiveKit's offer of a job: refuse in the parent what can no longer become right, before a process is spent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from livekit.agents import JobRequest

from shared import registry
from shared.config.snapshot import CallConfig, Snapshot, resolve
from shared.dispatch.identity import (
    ATTEMPT,
    DIGEST,
    DISPATCH,
    HOST,
    KEY,
    STATE,
    agent_identity,
    attempt,
    call_id,
)
from shared.errors import MetadataError, PolicyError, ProblemsError
from shared.metadata import merge
from shared.metadata.contract import CallMetadata
from shared.records.spool import Spool
from shared.telemetry.redaction import HostCalls, Redactor

log = structlog.get_logger(__name__)


@dataclass
class Offers:
    """The offers that one agent server gets.

    Attributes:
        running: How many jobs this agent server runs now.
        busy: Whether the machine has too much to do for one more.
        in_flight: Accepted, not launched yet: LiveKit counts them late.
    """

    agent: str
    snapshot: Snapshot
    records: Path
    calls: HostCalls
    host: str
    max_jobs: int
    running: Callable[[], int]
    busy: Callable[[], bool]
    in_flight: int = 0
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: JobRequest) -> None:
        """Accept the offer, or reject it: `terminate` where no other host could do better."""
        job = request.job
        attributes = dict(job.attributes)
        call = call_id(attributes, job.dispatch_id)
        self.calls.offered(job.id, Redactor(), call_id=call, agent=self.agent)
        record = Spool.open(self.records, call_id=call, attempt=attempt(attributes))
        try:
            if code := self._unable():
                log.warning("job refused", call_id=call, agent=self.agent, code=code)
                await request.reject(terminate=False)
                return
            try:
                loaded = merge.load(
                    registry.contract(self.agent),
                    job=job.metadata,
                    job_attributes=attributes,
                    room=job.room.metadata,
                    degrade=self.snapshot.policy["on_misfit"] == "degrade",
                )
                config = self._config(loaded.metadata)
            except (MetadataError, PolicyError) as err:
                self._refuse(record, request, call, err)
                await request.reject(terminate=True)
                return
            self.calls.offered(
                job.id,
                Redactor.of(loaded.metadata),
                call_id=call,
                agent=self.agent,
                dispatch=job.dispatch_id,
                digest=config.digest,
            )
            record.append(
                "offered",
                agent=self.agent,
                dispatch_id=job.dispatch_id,
                room=job.room.name,
                digest=config.digest,
                metadata=loaded.metadata.model_dump(mode="json", exclude_none=True),
                unknown=loaded.unknown,
            )
            if loaded.missing:
                log.warning(
                    "job taken with fields missing",
                    call_id=call,
                    agent=self.agent,
                    dispatch=job.dispatch_id,
                    reason=[str(problem) for problem in loaded.missing],
                )
        finally:
            record.close()
        await self._accept(request, call, config)

    def _unable(self) -> str | None:
        """Why this host can take no call now, as a code."""
        if self.draining.is_set():
            return "host.draining"
        if self.running() + self.in_flight >= self.max_jobs:
            return "host.full"
        return "host.busy" if self.busy() else None

    def _config(self, metadata: CallMetadata) -> CallConfig:
        return resolve(
            self.snapshot,
            self.agent,
            profile=metadata.profile,
            locale=metadata.locale,
            overrides=metadata.config,
        )

    async def _accept(self, request: JobRequest, call: str, config: CallConfig) -> None:
        attributes = dict(request.job.attributes)
        self.in_flight += 1
        try:
            await request.accept(
                identity=agent_identity(request.room.name, self.agent, call),
                name=self.agent,
                attributes={
                    KEY: call,
                    ATTEMPT: str(attempt(attributes)),
                    DISPATCH: request.job.dispatch_id,
                    HOST: self.host,
                    DIGEST: config.digest,
                    STATE: "joining",
                },
            )
        finally:
            self.in_flight -= 1

    def _refuse(self, record: Spool, request: JobRequest, call: str, err: ProblemsError) -> None:
        """One log line and the end of the record; the error names fields, never values."""
        pointers = [problem.pointer for problem in err.problems]
        record.append(
            "offered",
            agent=self.agent,
            dispatch_id=request.job.dispatch_id,
            room=request.room.name,
        )
        record.append("outcome", outcome="refused", code=err.code, reason=str(err))
        log.warning(
            "job refused",
            call_id=call,
            agent=self.agent,
            dispatch=request.job.dispatch_id,
            code=err.code,
            pointer=pointers[0] if len(pointers) == 1 else pointers,
            reason=str(err),
        )
