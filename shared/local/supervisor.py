"""`python -m shared.local.supervisor RUN_DIR LOCK_FD`: keeps a local stack running while somebody holds it.

Keys are made here. They reach the children by their environment and everybody else by `local.json`, never by a command line.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import structlog

from shared.errors import StackError
from shared.local import livekit
from shared.local.service import Service
from shared.local.stack import (
    ADD_SERVER,
    FAILED,
    HOLDERS,
    STATE,
    Stack,
    Wanted,
    write_private,
)
from shared.telemetry.logs import configure_process

log = structlog.get_logger(__name__)

_KEPT = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_KEPT_STARTS = ("LC_", "XDG_", "PYTHON")
"""What children get of the environment. A provider's real key or a LIVEKIT_ variable of the user is none of their business."""


class Supervisor:
    """Both services of one run folder."""

    def __init__(self, run_dir: Path, environ: Mapping[str, str]) -> None:
        self.asked = asyncio.Event()
        self._run_dir = run_dir
        self._environ = environ
        self._wanted = Wanted.read(run_dir)
        self._keys = {
            name: secrets.token_urlsafe(36) for name in ("api_secret", "providers_key")
        } | {"api_key": f"API{secrets.token_hex(8)}"}
        self._providers: Service | None = None
        self._providers_port = 0
        self._server: Service | None = None
        self._livekit_port = 0

    async def serve(self) -> None:
        """Start what is wanted, in parallel, and keep it.

        Raises:
            ExceptionGroup: Of one StackError.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve_providers())
            group.create_task(self._serve_livekit())

    async def stop(self) -> None:
        (self._run_dir / STATE).unlink(missing_ok=True)
        await asyncio.gather(*(one.stop() for one in (self._providers, self._server) if one))

    async def _serve_providers(self) -> None:
        # a restart must come back on the port that everybody knows
        port = self._wanted.ports.providers or _free_port(socket.SOCK_STREAM)

        async def ready(process: asyncio.subprocess.Process) -> None:
            assert process.stdout is not None
            line = await process.stdout.readline()
            if not line.startswith(b"ready "):
                raise StackError("the stand-ins ended")

        self._providers = service = Service(
            "providers",
            [sys.executable, "-m", "shared.local", "--port", str(port)],
            {**self._environ, "SWITCHBOARD_PROVIDERS_KEY": self._keys["providers_key"]},
            self._run_dir,
            ready,
        )
        await service.start()
        self._providers_port = port
        self._publish()
        await service.keep(self._publish)

    async def _serve_livekit(self) -> None:
        while not self._wanted.server:
            await self.asked.wait()
            self.asked.clear()
            self._wanted = Wanted.read(self._run_dir)
        ports = self._wanted.ports
        port = ports.livekit or _free_port(socket.SOCK_STREAM)
        config = livekit.config(
            port,
            ports.media or _free_port(socket.SOCK_DGRAM),
            self._keys["api_key"],
            self._keys["api_secret"],
        )

        async def ready(_: asyncio.subprocess.Process) -> None:
            await livekit.wait_until_ready(port)

        service = Service(
            "livekit",
            [self._wanted.server],
            {**self._environ, "LIVEKIT_CONFIG": config},
            self._run_dir,
            ready,
        )
        self._server = service
        await service.start()
        self._livekit_port = port
        self._publish()
        await service.keep(self._publish)

    def _publish(self) -> None:
        """Say where the stack is, once all that is wanted is there."""
        providers = self._providers and self._providers.process
        server = self._server and self._server.process
        if not (providers and self._providers_port) or (
            self._wanted.server and not self._livekit_port
        ):
            return
        stack = Stack(
            livekit_url=f"ws://127.0.0.1:{self._livekit_port}" if server else "",
            livekit_api_key=self._keys["api_key"] if server else "",
            livekit_api_secret=self._keys["api_secret"] if server else "",
            providers_url=f"http://127.0.0.1:{self._providers_port}",
            providers_key=self._keys["providers_key"],
            supervisor_pid=os.getpid(),
            server_pid=server.pid if server else None,
            providers_pid=providers.pid,
        )
        write_private(self._run_dir / STATE, asdict(stack))


async def _supervise(run_dir: Path, environ: Mapping[str, str]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    supervisor = Supervisor(run_dir, environ)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(ADD_SERVER, supervisor.asked.set)
    holders = os.open(run_dir / HOLDERS, os.O_RDWR)

    def wait_for_last_holder() -> None:
        fcntl.flock(holders, fcntl.LOCK_EX)
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_last_holder, daemon=True).start()
    serving = asyncio.ensure_future(supervisor.serve())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    try:
        await serving
    except* asyncio.CancelledError:
        log.info("last holder is gone")
    except* StackError as group:
        err = group.exceptions[0]
        log.error("stack ends", reason=str(err))
        write_private(run_dir / FAILED, {"message": str(err), "code": StackError.default_code})
    finally:
        await supervisor.stop()


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m shared.local.supervisor")
    options.add_argument("run_dir", type=Path)
    options.add_argument("lock", type=int, help="descriptor of the lock that says it is alive")
    given = options.parse_args()
    os.set_inheritable(given.lock, False)
    configure_process(json=True, level="INFO")
    environ = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251
        if name in _KEPT or name.startswith(_KEPT_STARTS)
    }
    asyncio.run(_supervise(given.run_dir, environ))


if __name__ == "__main__":
    main()
