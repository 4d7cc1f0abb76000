"""A process of the local stack: started, watched, started again when it dies, ended with its supervisor."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from shared.errors import StackError
from shared.local.stack import ROOT, open_log

log = structlog.get_logger(__name__)

_START_S = 60.0
_TERM_AGAIN_S = 0.25
_KILL_S = 0.75
_RESTARTS = 3
_WITHIN_S = 60.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Service:
    """One child: started, watched, started again when it dies."""

    def __init__(
        self,
        name: str,
        argv: list[str],
        environ: Mapping[str, str],
        run_dir: Path,
        ready: Callable[[asyncio.subprocess.Process], Awaitable[None]],
    ) -> None:
        self.name = name
        self.process: asyncio.subprocess.Process | None = None
        self._argv = argv
        self._environ = environ
        self._run_dir = run_dir
        self._ready = ready

    async def start(self) -> None:
        """Start it and wait until it serves.

        Raises:
            StackError: It ended instead, or did neither in time.
        """
        output = open_log(self._run_dir, self.name)
        try:
            self.process = process = await asyncio.create_subprocess_exec(
                *self._argv,
                cwd=ROOT,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self.name == "providers" else output,
                stderr=output,
                preexec_fn=_die_with_parent(os.getpid()),
            )
        finally:
            os.close(output)
        ready = asyncio.ensure_future(self._ready(process))
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait(
                {ready, ended}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not ready.done() or ready.exception() is not None or process.returncode is not None:
                raise StackError(
                    f"{self.name} did not start. The reason is at the end of {self._run_dir / 'logs' / self.name}.log"
                )
        finally:
            ready.cancel()
            ended.cancel()

    async def keep(self, restarted: Callable[[], None]) -> None:
        """Start it again whenever it dies.

        Raises:
            StackError: It dies too often.
        """
        deaths: list[float] = []
        while self.process is not None:
            status = await self.process.wait()
            now = time.monotonic()
            deaths = [*(death for death in deaths if now - death < _WITHIN_S), now]
            log.warning("service died", service=self.name, status=status, times=len(deaths))
            if len(deaths) > _RESTARTS:
                raise StackError(f"{self.name} died {len(deaths)} times within {_WITHIN_S:.0f} s")
            await self.start()
            restarted()

    async def stop(self) -> None:
        """End it. At the first TERM a LiveKit server waits for its participants, at the second it goes."""
        if self.process is None:
            return
        for patience in (_TERM_AGAIN_S, _KILL_S):
            if self.process.returncode is not None:
                return
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), patience)
            except TimeoutError:
                continue
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


def _die_with_parent(parent: int) -> Callable[[], None]:
    def in_child() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return in_child
