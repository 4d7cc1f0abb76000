"""The process behind a local stack: starts the LiveKit server and the stand-ins, restarts what dies, ends with the last holder."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import queue
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import structlog

from shared.config.environment import ROOT, process_environment
from shared.errors import StackError
from shared.local import livekit
from shared.local.stack import ALIVE, HOLDERS, STACK_FILE, Stack
from shared.telemetry.logs import configure_process

READY_LIMIT_S = 50.0
GRACE_S = 1.0
"""The LiveKit server would wait for its participants for ever; a second TERM and a KILL end that."""

RESTARTS = 3
RESTART_WINDOW_S = 60.0

_PDEATHSIG = 1

log = structlog.get_logger(__name__)


@dataclass
class Child:
    """A process of the stack and how to start it again on the same port."""

    name: str
    words: list[str]
    environ: dict[str, str]
    is_ready: Callable[[subprocess.Popen[bytes]], bool]
    process: subprocess.Popen[bytes] | None = None


class Supervisor:
    """Owns the children from their start to their end. All of them are started by the main thread: a child dies with the thread that made it."""

    def __init__(self, run_dir: Path, ports: dict[str, int], server: str) -> None:
        self._run_dir = run_dir
        self._events: queue.Queue[Child | None] = queue.Queue()
        self._restarts: deque[float] = deque(maxlen=RESTARTS)
        self._key, self._secret = f"sb{secrets.token_hex(6)}", secrets.token_hex(24)
        self._providers_key = secrets.token_hex(16)
        self._livekit_port = _port(ports["livekit"], "livekit", socket.SOCK_STREAM) if server else 0
        self._media_port = _port(ports["media"], "media", socket.SOCK_DGRAM) if server else 0
        self._providers_port = _port(ports["providers"], "providers", socket.SOCK_STREAM)
        environ = process_environment()
        self._children = [
            Child(
                "providers",
                [sys.executable, "-m", "shared.local", "--port", str(self._providers_port)],
                {**environ, "SWITCHBOARD_PROVIDERS_KEY": self._providers_key},
                _said_ready,
            )
        ]
        if server:
            config = livekit.configuration(
                port=self._livekit_port,
                media_port=self._media_port,
                key=self._key,
                secret=self._secret,
            )
            self._children.append(
                Child(
                    "livekit",
                    [server],
                    {**environ, "LIVEKIT_CONFIG": config},
                    lambda _: livekit.answers(self._livekit_port),
                )
            )

    def start(self) -> Stack:
        """Start all children at once and wait until each is ready.

        Raises:
            StackError: One ended or was too slow; names its log.
        """
        for child in self._children:
            self._spawn(child)
        deadline = time.monotonic() + READY_LIMIT_S
        for child in self._children:
            self._await(child, deadline)
        pids = {child.name: child.process.pid for child in self._children if child.process}
        with_server = "livekit" in pids
        return Stack(
            livekit_url=f"ws://127.0.0.1:{self._livekit_port}" if with_server else "",
            livekit_api_key=self._key if with_server else "",
            livekit_api_secret=self._secret if with_server else "",
            providers_url=f"http://127.0.0.1:{self._providers_port}",
            providers_key=self._providers_key,
            supervisor_pid=os.getpid(),
            server_pid=pids.get("livekit"),
            providers_pid=pids["providers"],
        )

    def stop_when_released(self) -> None:
        """Wait, in a thread, for the lock that nobody but the last holder's end can free."""

        def wait() -> None:
            self._lock = (self._run_dir / HOLDERS).open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX)  # kept until this process is gone
            self._events.put(None)

        threading.Thread(target=wait, daemon=True).start()

    def stop(self, *_: int | FrameType | None) -> None:
        """End the stack soon; safe in a signal handler."""
        self._events.put(None)

    def serve(self) -> None:
        """Restart what dies, until the last holder is gone."""
        while (child := self._events.get()) is not None:
            now = time.monotonic()
            log.warning("process died", name=child.name)
            if len(self._restarts) == RESTARTS and now - self._restarts[0] < RESTART_WINDOW_S:
                log.error("dies too often, ending the stack", name=child.name)
                return
            self._restarts.append(now)
            self._spawn(child)
            self._await(child, now + READY_LIMIT_S)
            self._write()

    def publish(self, stack: Stack) -> None:
        """Write the file by which other commands find this stack."""
        self._stack = stack
        self._write()

    def end(self) -> None:
        """End all children: TERM, TERM again, KILL."""
        (self._run_dir / STACK_FILE).unlink(missing_ok=True)
        living = [child.process for child in self._children if child.process]
        for grace in (GRACE_S, GRACE_S / 2):
            for process in living:
                process.terminate()
            deadline = time.monotonic() + grace
            for process in living:
                _wait(process, deadline - time.monotonic())
            living = [process for process in living if process.poll() is None]
        for process in living:
            process.kill()
            process.wait()

    def _write(self) -> None:
        pids = {child.name: child.process.pid for child in self._children if child.process}
        content = asdict(self._stack) | {
            "server_pid": pids.get("livekit"),
            "providers_pid": pids["providers"],
        }
        draft = self._run_dir / f"{STACK_FILE}.new"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(content), encoding="utf-8")
        draft.replace(self._run_dir / STACK_FILE)

    def _spawn(self, child: Child) -> None:
        path = self._run_dir / f"{child.name}.log"
        path.touch(mode=0o600)
        with path.open("ab") as output:
            child.process = process = subprocess.Popen(
                child.words,
                cwd=ROOT,
                env=child.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if child.name == "providers" else output,
                stderr=output,
                preexec_fn=_die_with_parent,
            )

        def watch() -> None:
            process.wait()
            self._events.put(child)

        threading.Thread(target=watch, daemon=True).start()

    def _await(self, child: Child, deadline: float) -> None:
        process = child.process
        assert process is not None
        while not child.is_ready(process):
            if process.poll() is not None or time.monotonic() > deadline:
                what = "ended" if process.poll() is not None else "is not ready"
                raise StackError(
                    f"{child.name} {what}, see var/run/{child.name}.log", code="stack.child"
                )
            time.sleep(0.05)


def _said_ready(process: subprocess.Popen[bytes]) -> bool:
    """Whether the stand-ins have printed their one line."""
    assert process.stdout is not None
    readable = select.select([process.stdout], [], [], 0.2)[0]
    return bool(readable) and process.stdout.readline().startswith(b"ready ")


def _port(wanted: int, name: str, kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            raise StackError(
                f"port {wanted} (server.stack.{name}) is in use. Choose another one, or 0 for a free one:"
                f" make run SET=server.stack.{name}=0",
                code="stack.port",
            ) from None
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """Have the kernel end this process when the supervisor is gone, however it went. Linux only; elsewhere TERM does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(max(seconds, 0.01))
    except subprocess.TimeoutExpired:
        return


def main() -> None:
    """Run a stack as ordered by `stack.hold`, and answer on its pipe: the stack, or what went wrong."""
    order, answer = json.loads(sys.argv[1]), int(sys.argv[2])
    configure_process(json=False)
    run_dir = Path(order["run_dir"])
    alive = (run_dir / ALIVE).open("w")
    fcntl.flock(alive, fcntl.LOCK_EX)
    supervisor: Supervisor | None = None
    try:
        supervisor = Supervisor(run_dir, order["ports"], order["server"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, supervisor.stop)
        supervisor.stop_when_released()
        stack = supervisor.start()
        supervisor.publish(stack)
        os.write(answer, json.dumps(asdict(stack)).encode() + b"\n")
        os.close(answer)
        log.info("stack is up")
        supervisor.serve()
    except StackError as err:
        log.error("stack failed", reason=str(err))
        os.write(answer, json.dumps({"error": str(err), "code": err.code}).encode() + b"\n")
    finally:
        if supervisor is not None:
            supervisor.end()
        alive.close()


if __name__ == "__main__":
    main()
