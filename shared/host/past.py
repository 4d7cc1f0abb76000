"""What a job is told of what was before it: what an agent said that was lost or handed the call over, and what its dispatch refers to."""

from __future__ import annotations

from shared.dispatch.identity import HANDOFF, REFERENCE, RESUME
from shared.host.jobs import Job
from shared.records.spool import Event, Reads

_CALLS_FOR_IT = {RESUME, HANDOFF, REFERENCE}


async def history(job: Job, records: Reads) -> list[Event]:
    """The events that a new agent goes on from; none for a call that begins."""
    events = await records.of(job.call_id) if job.attributes.keys() & _CALLS_FOR_IT else []
    if RESUME in job.attributes or HANDOFF in job.attributes:
        return events
    return [event for event in events if event.event == "requested"]
