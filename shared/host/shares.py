"""What a host answers for towards hosts on other machines: its own calls, and those that it has taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any

from shared.host.jobs import Job
from shared.host.recovery import Recovery


class Shares:
    """A `Holder` (`shared/records/leases.py`). Made and ended on the host's loop, asked from the thread that keeps records."""

    def __init__(self, recovery: Recovery, own: Callable[[], Collection[Job]] = tuple) -> None:
        self._recovery = recovery
        self._own = own
        self._loop = asyncio.get_running_loop()
        self._inherited: dict[str, Mapping[str, Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def held(self) -> Mapping[str, Mapping[str, Any]]:
        """What another attempt of each call would take."""
        own = {job.call_id: {**asdict(job), "attempt": job.attempt} for job in list(self._own())}
        return {**self._inherited, **own}

    def inherit(self, call: Mapping[str, Any]) -> None:
        """Take over a call whose host is gone; held until it has another agent."""
        job = Job(**{name: value for name, value in call.items() if name != "attempt"})
        self._inherited[job.call_id] = {**call, "attempt": job.attempt + 1}
        self._loop.call_soon_threadsafe(self._begin, job)

    def _begin(self, job: Job) -> None:
        task = self._loop.create_task(self._look_after(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_after(self, job: Job) -> None:
        try:
            await self._recovery.recover(job, "host.died")
        finally:
            self._inherited.pop(job.call_id, None)
