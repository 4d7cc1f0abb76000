"""The local stack: a LiveKit server and the provider stand-ins, shared by all that hold it.

Everybody who needs it holds a shared lock on `local.lock`. A supervisor of its own session runs both processes and waits for that lock alone:
when it gets it the last holder is gone, by KILL too, and it ends them. The supervisor holds `supervisor.lock` as long as it lives, which says
better than any process id whether there is one. `local.json` says where the stack is.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.errors import StackError
from shared.local import livekit

ROOT = Path(__file__).resolve().parents[2]

STATE = "local.json"
WANTED = "local.wanted.json"
FAILED = "local.failed.json"
HOLDERS = "local.lock"
SUPERVISOR = "supervisor.lock"

ADD_SERVER = signal.SIGUSR1
"""Tells a supervisor to look again at what is wanted."""

_POLL_S = 0.02
_SAY_EVERY_S = 5.0


@dataclass(frozen=True)
class Stack:
    """Where a running stack is.

    Attributes:
        livekit_url: Empty, like its key and secret, where no server was asked for.
    """

    livekit_url: str
    livekit_api_key: str
    livekit_api_secret: str
    providers_url: str
    providers_key: str
    supervisor_pid: int
    server_pid: int | None
    providers_pid: int


@dataclass(frozen=True)
class Ports:
    """Ports of a stack; 0 is a free one."""

    livekit: int = 0
    media: int = 0
    providers: int = 0


@dataclass(frozen=True)
class Wanted:
    """What a supervisor is asked for.

    Attributes:
        server: Path of the LiveKit server; empty for the stand-ins alone.
    """

    server: str
    ports: Ports

    def write(self, run_dir: Path) -> None:
        write_private(run_dir / WANTED, asdict(self))

    @staticmethod
    def read(run_dir: Path) -> Wanted:
        said = json.loads((run_dir / WANTED).read_text())
        return Wanted(server=said["server"], ports=Ports(**said["ports"]))


@dataclass(frozen=True)
class HeldStack:
    """A stack that stays until `close`, or until this process and what it became are gone.

    Attributes:
        fd: The lock. It goes over to what this process becomes by exec, not to its children.
    """

    stack: Stack
    fd: int

    def close(self) -> None:
        os.close(self.fd)


def find(run_dir: Path) -> Stack | None:
    """The stack of this run folder, if it is alive."""
    if not (run_dir / SUPERVISOR).exists():
        return None
    fd = os.open(run_dir / SUPERVISOR, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(run_dir)
    finally:
        os.close(fd)
    return None


def hold(
    run_dir: Path, *, ports: Ports, with_server: bool = True, progress: Callable[[str], None]
) -> HeldStack:
    """Join the stack of this run folder, or start it.

    Args:
        run_dir: The folder of run files; each has a stack of its own.
        ports: Where a new stack listens. A running one must fit to those that are not 0.
        with_server: Without it only the stand-ins are needed.
        progress: Takes one line for a person, now and then.

    Raises:
        StackError: It does not start, or runs on other ports.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    holding = _open(run_dir / HOLDERS)
    try:
        # waits while a supervisor that nobody holds any more is ending
        fcntl.flock(holding, fcntl.LOCK_SH)
        stack = _join_or_start(run_dir, ports, with_server, progress)
        _check_fit(stack, ports, with_server)
        os.set_inheritable(holding, True)
    except BaseException:
        os.close(holding)
        raise
    return HeldStack(stack, holding)


def write_private(path: Path, said: object) -> None:
    """Write JSON that only this user may read, all of it or nothing."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(said, file)
    draft.replace(path)


def open_log(run_dir: Path, name: str) -> int:
    """A descriptor that appends to `logs/<name>.log`."""
    folder = run_dir / "logs"
    folder.mkdir(exist_ok=True)
    return os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _join_or_start(
    run_dir: Path, ports: Ports, with_server: bool, progress: Callable[[str], None]
) -> Stack:
    supervisor: subprocess.Popen[bytes] | None = None
    asked_for_server = False
    begun = time.monotonic()
    said = begun
    while True:
        if (lock := _try_to_lock(run_dir / SUPERVISOR)) is not None:
            try:
                if supervisor is not None:
                    raise _failure(run_dir)
                supervisor = _start(run_dir, lock, ports, with_server, progress)
            finally:
                os.close(lock)
            begun = said = time.monotonic()
        elif stack := _read(run_dir):
            if stack.livekit_url or not with_server:
                if supervisor is not None:
                    progress(f"the local stack is ready, {time.monotonic() - begun:.1f} s")
                return stack
            if not asked_for_server:
                _ask_for_server(run_dir, stack, ports, progress)
                asked_for_server = True
        if time.monotonic() - said >= _SAY_EVERY_S:
            said = time.monotonic()
            progress(f"waiting for the local stack, {said - begun:.0f} s")
        if supervisor is not None:
            supervisor.poll()  # leaves no zombie behind
        time.sleep(_POLL_S)


def _start(
    run_dir: Path, lock: int, ports: Ports, with_server: bool, progress: Callable[[str], None]
) -> subprocess.Popen[bytes]:
    """Start a supervisor that takes over `lock`."""
    for leftover in (STATE, FAILED):
        (run_dir / leftover).unlink(missing_ok=True)
    server = _server(progress) if with_server else ""
    _check_free(ports, with_server)
    Wanted(server=server, ports=ports).write(run_dir)
    progress(f"starting {'LiveKit server and ' if with_server else ''}provider stand-ins")
    log = open_log(run_dir, "supervisor")
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "shared.local.supervisor", str(run_dir.resolve()), str(lock)],
            cwd=ROOT,
            pass_fds=(lock,),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    finally:
        os.close(log)


def _server(progress: Callable[[str], None]) -> str:
    livekit.check_network()
    return str(livekit.ensure(progress))


def _ask_for_server(
    run_dir: Path, stack: Stack, ports: Ports, progress: Callable[[str], None]
) -> None:
    """Have a server added to a stack that was started without one."""
    server = _server(progress)
    _check_free(Ports(livekit=ports.livekit, media=ports.media), with_server=True)
    Wanted(server=server, ports=ports).write(run_dir)
    progress("starting LiveKit server")
    os.kill(stack.supervisor_pid, ADD_SERVER)


def _check_free(ports: Ports, with_server: bool) -> None:
    kinds = {"livekit": socket.SOCK_STREAM, "media": socket.SOCK_DGRAM}
    for name, port in asdict(ports).items():
        if not port or (name != "providers" and not with_server):
            continue
        with socket.socket(socket.AF_INET, kinds.get(name, socket.SOCK_STREAM)) as probe:
            if probe.type == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as err:
                raise StackError(
                    f"port {port} ({name}) cannot be used: {os.strerror(err.errno or 0).lower()}."
                    f' Choose another, or 0 for a free one: SET="server.stack.{name}=0"',
                    code="stack.port",
                ) from None


def _check_fit(stack: Stack, ports: Ports, with_server: bool) -> None:
    urls = {"livekit": stack.livekit_url, "providers": stack.providers_url}
    for name, url in urls.items():
        wanted = getattr(ports, name)
        if wanted and not url.endswith(f":{wanted}") and (with_server or name == "providers"):
            raise StackError(
                f"the local stack runs already, with {name} on {url}, not on port {wanted}."
                f' End what uses it first (make run), or join it: SET="server.stack.{name}=0"',
                code="stack.port",
            )


def _failure(run_dir: Path) -> StackError:
    try:
        said = json.loads((run_dir / FAILED).read_text())
        return StackError(said["message"], code=said["code"])
    except (OSError, ValueError, KeyError):
        return StackError(
            f"the local stack ended while it was starting. See {run_dir / 'logs' / 'supervisor.log'}"
        )


def _read(run_dir: Path) -> Stack | None:
    try:
        stack = Stack(**json.loads((run_dir / STATE).read_text()))
        os.kill(stack.supervisor_pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return stack


def _try_to_lock(path: Path) -> int | None:
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
