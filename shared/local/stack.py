"""The local stack: one LiveKit server and one process of provider stand-ins, shared by every command of a clone.

Whoever needs the stack holds a shared lock on one file. The supervisor waits for the exclusive lock: when it gets it, the last
holder is gone, even by KILL, and it ends what it started.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from shared.config.environment import ROOT, process_environment
from shared.errors import StackError
from shared.local import livekit

STACK_FILE = "local.json"
HOLDERS = "holders.lock"
"""Held shared by every holder, exclusively by the supervisor once nobody does."""

STARTING = "starting.lock"
"""Held by whoever looks for a supervisor or starts one."""

ALIVE = "supervisor.lock"
"""Held by the supervisor as long as it lives."""

START_LIMIT_S = 60.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Ports:
    """TCP port of LiveKit, UDP port of its media, TCP ports of the stand-ins and the gateway; 0 is a free one."""

    livekit: int = 0
    media: int = 0
    providers: int = 0
    gateway: int = 0


@dataclass(frozen=True)
class Stack:
    """A running stack: addresses, keys and processes. `livekit_*` are empty where it runs without a server, `gateway_url` where without one."""

    livekit_url: str
    livekit_api_key: str
    livekit_api_secret: str
    providers_url: str
    providers_key: str
    supervisor_pid: int
    server_pid: int | None
    providers_pid: int
    gateway_url: str = ""


class HeldStack:
    """A stack that stays up as long as this object, or the process that inherits its file descriptor, lives."""

    def __init__(self, stack: Stack, fd: int) -> None:
        self.stack = stack
        self.fd = fd

    def close(self) -> None:
        """Let go; the stack ends when nobody else holds it."""
        os.close(self.fd)


def find(run_dir: Path) -> Stack | None:
    """The running stack of this folder, or `None`."""
    if not _is_locked(run_dir / ALIVE):
        return None
    try:
        return Stack(**json.loads((run_dir / STACK_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def hold(
    run_dir: Path,
    *,
    ports: Ports,
    with_server: bool = True,
    with_gateway: bool = False,
    progress: Progress,
) -> HeldStack:
    """Join the running stack of this folder, or start one. One that runs stays as it is, with or without a gateway.

    Raises:
        StackError: A set port is in use, the server cannot be built, or the stack does not come up; says what would help.
    """
    run_dir = run_dir.resolve()
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    environ = process_environment()
    server = None
    if with_server:
        livekit.check_network(livekit.find_interfaces())
        server = livekit.find_or_build(environ, progress)
    with (run_dir / STARTING).open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        # Before looking: a supervisor that is about to end waits until this is let go, or has ended when it is held.
        fd = os.open(run_dir / HOLDERS, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(fd, fcntl.LOCK_SH)
        try:
            running = find(run_dir)
            if running is None:
                running = _start(run_dir, ports, server, with_gateway, environ, progress)
            else:
                _check_fit(running, ports, with_server)
        except BaseException:
            os.close(fd)
            raise
    os.set_inheritable(fd, True)
    return HeldStack(running, fd)


def open_log(run_dir: Path, name: str) -> BinaryIO:
    """Open `logs/<name>.log` for more lines. Only this user may read it."""
    folder = run_dir / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(fd, "ab")


def _check_fit(running: Stack, ports: Ports, with_server: bool) -> None:
    if with_server and running.server_pid is None:
        raise StackError(
            "a stack without a LiveKit server runs for another command. End that one first.",
            code="stack.no_server",
        )
    urls = {"providers": running.providers_url}
    if with_server:
        urls["livekit"] = running.livekit_url
    for name, url in urls.items():
        wanted = getattr(ports, name)
        if wanted and not url.endswith(f":{wanted}"):
            raise StackError(
                f"the local stack runs already, with {name} on {url}, not on port {wanted}."
                f' End what uses it, or join it: SET="server.stack.{name}=0"',
                code="stack.port",
            )


def _start(
    run_dir: Path,
    ports: Ports,
    server: Path | None,
    with_gateway: bool,
    environ: dict[str, str],
    progress: Progress,
) -> Stack:
    progress("starting the local stack" if server else "starting the provider stand-ins")
    began = time.monotonic()
    ready, answer = os.pipe()
    order = {
        "run_dir": str(run_dir),
        "ports": asdict(ports),
        "server": str(server or ""),
        "gateway": with_gateway and server is not None,
    }
    with open_log(run_dir, "supervisor") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.local.supervisor", json.dumps(order), str(answer)],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[answer],
            start_new_session=True,
        )
    os.close(answer)
    try:
        reply = _read(ready, run_dir / "logs")
    finally:
        os.close(ready)  # before its time: the supervisor ends
        process.wait()
    if "error" in reply:
        raise StackError(str(reply["error"]), code=str(reply["code"]))
    progress(f"local stack is up after {time.monotonic() - began:.1f} s")
    return Stack(**reply)  # type: ignore[arg-type]


def _read(ready: int, logs: Path) -> dict[str, object]:
    """The supervisor's first and only line."""
    text = b""
    deadline = time.monotonic() + START_LIMIT_S
    while not text.endswith(b"\n"):
        if not select.select([ready], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return {
                "error": f"the local stack did not come up in {START_LIMIT_S:.0f} s, see {logs}/*.log",
                "code": "stack.slow",
            }
        piece = os.read(ready, 65536)
        if not piece:
            return {
                "error": f"the local stack ended while it started, see {logs}/supervisor.log",
                "code": "stack.died",
            }
        text += piece
    reply: dict[str, object] = json.loads(text)
    return reply


def _is_locked(path: Path) -> bool:
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
