"""What a job is told of what was said before it: by an agent that was lost, or by one that handed the call over."""

from __future__ import annotations

from shared.dispatch.identity import HANDOFF, RESUME
from shared.host.jobs import Job
from shared.records.spool import Event, Reads


async def history(job: Job, records: Reads) -> list[Event]:
    """The events that a new agent goes on from; none for a call that begins."""
    if RESUME not in job.attributes and HANDOFF not in job.attributes:
        return []
    return await records.of(job.call_id)
