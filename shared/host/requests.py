"""Answering LiveKit's offer of a job: refuse in the parent what can no longer become right, before a process is spent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import structlog
from livekit import api
from livekit.agents import JobRequest

from shared import registry
from shared.config.snapshot import CallConfig, Snapshot, resolve
from shared.dispatch.identity import (
    ATTEMPT,
    DIGEST,
    DISPATCH,
    HOST,
    KEY,
    REFERENCE,
    RESUME,
    STATE,
    agent_identity,
    attempt,
    call_id,
)
from shared.dispatch.offers import of_key
from shared.dispatch.reference import look_up
from shared.errors import MetadataError, PolicyError, Problem, ProblemsError
from shared.host.jobs import Job
from shared.host.lines import Lines
from shared.metadata import merge
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import refusal
from shared.records.spool import Reads, Spool
from shared.telemetry.redaction import HostCalls, Redactor

LIST_LIMIT_S = 0.5
"""An offer must be answered within a second."""

log = structlog.get_logger(__name__)


@dataclass
class Offers:
    """The offers that one agent server gets.

    Attributes:
        running: How many jobs this agent server runs now.
        busy: Whether the machine has too much to do for one more.
        lkapi: Of the server that makes the offers.
        records: The folder that is written to.
        reads: What was written there and on other machines.
        lines: Listens to the jobs that are taken.
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
    lkapi: Callable[[], api.LiveKitAPI]
    lines: Lines
    reads: Reads
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
            if code := self._unable(attributes):
                self._decline(record, request, call, code)
                await request.reject(terminate=False)
                return
            if await self._is_duplicate(request, attributes):
                log.info(
                    "job is a duplicate", call_id=call, agent=self.agent, dispatch=job.dispatch_id
                )
                await request.reject(terminate=True)
                return
            try:
                loaded = merge.load(
                    registry.contract(self.agent),
                    job=await self._metadata(job.metadata, attributes),
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
                host=self.host,
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

    async def _is_duplicate(self, request: JobRequest, attributes: Mapping[str, str]) -> bool:
        """Whether another dispatch of the same key counts in place of this one.

        Where LiveKit cannot be asked the offer is taken: better one too many than nobody.
        """
        if KEY not in attributes:
            return False
        try:
            async with asyncio.timeout(LIST_LIMIT_S):
                there = await self.lkapi().agent_dispatch.list_dispatch(request.room.name)
        except (api.TwirpError, aiohttp.ClientError, TimeoutError):
            return False
        ours = of_key(there, self.agent, attributes[KEY])
        return bool(ours) and ours[0].id != request.job.dispatch_id

    async def _metadata(self, given: str, attributes: Mapping[str, str]) -> str:
        """What the dispatch says, or refers to.

        Raises:
            MetadataError: It refers to what no record has.
        """
        if REFERENCE not in attributes:
            return given
        found = await look_up(self.reads, attributes, limit_s=LIST_LIMIT_S)
        if found is None:
            text = "what the dispatch refers to is not in the records; hosts and gateway must share them"
            raise refusal(registry.contract(self.agent), [Problem("", "metadata.reference", text)])
        return found

    def _unable(self, attributes: Mapping[str, str]) -> str | None:
        """Why this host can take no call now, as a code. A call that lost its agent is taken however much there is to do."""
        if self.draining.is_set():
            return "host.draining"
        if RESUME in attributes:
            return None
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
        offer = request.job
        attributes = dict(offer.attributes)
        job = Job(
            id=offer.id,
            call_id=call,
            agent=self.agent,
            room=offer.room.name,
            room_sid=offer.room.sid,
            metadata=offer.metadata,
            attributes=attributes,
            deployment=offer.deployment,
        )
        self.in_flight += 1
        self.lines.taking(job)
        try:
            await request.accept(
                identity=agent_identity(offer.room.name, self.agent, call, job.attempt),
                name=self.agent,
                attributes={
                    KEY: call,
                    ATTEMPT: str(job.attempt),
                    DISPATCH: offer.dispatch_id,
                    HOST: self.host,
                    DIGEST: config.digest,
                    STATE: "joining",
                },
            )
        except Exception:
            self.lines.dropped(job)  # LiveKit gave the call to another host
            raise
        finally:
            self.in_flight -= 1
        self.lines.launched(job)

    def _decline(self, record: Spool, request: JobRequest, call: str, code: str) -> None:
        """Leave the offer to other hosts."""
        dispatch = request.job.dispatch_id
        record.append("declined", agent=self.agent, dispatch_id=dispatch, code=code)
        log.warning("job refused", call_id=call, agent=self.agent, dispatch=dispatch, code=code)

    def _refuse(self, record: Spool, request: JobRequest, call: str, err: ProblemsError) -> None:
        """One log line and the end of the record; the error names fields, never values."""
        pointers = [problem.pointer for problem in err.problems]
        record.append(
            "refused",
            agent=self.agent,
            dispatch_id=request.job.dispatch_id,
            room=request.room.name,
            code=err.code,
            reason=str(err),
        )
        record.append("outcome", outcome="refused", code=err.code)
        log.warning(
            "job refused",
            call_id=call,
            agent=self.agent,
            dispatch=request.job.dispatch_id,
            code=err.code,
            pointer=pointers[0] if len(pointers) == 1 else pointers,
            reason=str(err),
        )
