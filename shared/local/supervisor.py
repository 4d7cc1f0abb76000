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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import FrameType

import structlog

from shared.config.environment import RECORDS_URL, ROOT, process_environment
from shared.errors import StackError
from shared.local import livekit
from shared.local.stack import ALIVE, HOLDERS, STACK_FILE, Stack, open_log
from shared.telemetry.logs import configure_process

READY_LIMIT_S = 50.0
PATIENCE_S = (0.25, 0.75)
"""After the first TERM and the second. At the first a LiveKit server waits for its participants, for ever; then comes KILL."""

RESTARTS = 3
RESTART_WINDOW_S = 60.0

KEPT = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
KEPT_STARTS = ("LC_", "XDG_", "PYTHON")
"""What children get of the environment. LIVEKIT_ variables would reconfigure the server, and real keys are none of their business."""

_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

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

    def __init__(self, run_dir: Path, ports: dict[str, int], server: str, gateway: bool) -> None:
        self._run_dir = run_dir
        self._events: queue.SimpleQueue[Child | None] = queue.SimpleQueue()
        self._restarts: deque[float] = deque(maxlen=RESTARTS)
        self._key, self._secret = f"sb{secrets.token_hex(6)}", secrets.token_hex(24)
        self._providers_key = secrets.token_hex(16)
        self._livekit_port = _port(ports["livekit"], "livekit", socket.SOCK_STREAM) if server else 0
        self._media_port = _port(ports["media"], "media", socket.SOCK_DGRAM) if server else 0
        self._providers_port = _port(ports["providers"], "providers", socket.SOCK_STREAM)
        self._gateway_port = (
            _port(ports["gateway"], "gateway", socket.SOCK_STREAM) if gateway else 0
        )
        given = process_environment()
        environ = {
            name: given[name] for name in given if name in KEPT or name.startswith(KEPT_STARTS)
        }
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
                self._livekit_port,
                self._media_port,
                self._key,
                self._secret,
                webhook=f"http://127.0.0.1:{self._gateway_port}/webhook" if gateway else None,
            )
            answers = partial(livekit.answers, self._livekit_port)
            self._children.append(
                Child(
                    "livekit", [server], {**environ, "LIVEKIT_CONFIG": config}, lambda _: answers()
                )
            )
        if gateway:
            self._children.append(self._gateway(environ, given))

    def _gateway(self, environ: Mapping[str, str], given: Mapping[str, str]) -> Child:
        """The gateway of this stack's server, as `switchboard gateway` runs it."""
        words = ["-m", "shared.cli.main", "gateway", "--port", str(self._gateway_port)]
        ours = {
            "SWITCHBOARD_VAR": str(self._run_dir.parent),
            "LIVEKIT_URL": f"ws://127.0.0.1:{self._livekit_port}",
            "LIVEKIT_API_KEY": self._key,
            "LIVEKIT_API_SECRET": self._secret,
        }
        if RECORDS_URL in given:
            ours[RECORDS_URL] = given[RECORDS_URL]
        answers = partial(livekit.answers, self._gateway_port, "/health")
        return Child("gateway", [sys.executable, *words], {**environ, **ours}, lambda _: answers())

    def start(self, is_wanted: Callable[[], bool]) -> Stack:
        """Start all children at once and wait until each is ready.

        Raises:
            StackError: One ended or was too slow; names its log.
            BrokenPipeError: Nobody wants it any more.
        """
        for child in self._children:
            self._spawn(child)
        deadline = time.monotonic() + READY_LIMIT_S
        for child in self._children:
            self._await(child, deadline, is_wanted)
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
            gateway_url=f"http://127.0.0.1:{self._gateway_port}" if self._gateway_port else "",
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
            try:
                self._await(child, now + READY_LIMIT_S)
            except StackError:
                if child.process and child.process.poll() is None:
                    raise
                continue  # it died once more, which is the next event
            self._write()

    def publish(self, stack: Stack) -> None:
        """Write the file by which other commands find this stack."""
        self._stack = stack
        self._write()

    def end(self) -> None:
        """End all children: TERM, TERM again, KILL."""
        (self._run_dir / STACK_FILE).unlink(missing_ok=True)
        living = [child.process for child in self._children if child.process]
        for grace in PATIENCE_S:
            for process in living:
                process.terminate()
            deadline = time.monotonic() + grace
            for process in living:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(deadline - time.monotonic(), 0.01))
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
        with open_log(self._run_dir, child.name) as output:
            child.process = process = subprocess.Popen(
                child.words,
                cwd=ROOT,
                env=child.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if child.name == "providers" else output,
                stderr=output,
                start_new_session=True,  # a share of the processor of its own
                preexec_fn=partial(_die_with, os.getpid()),
            )

        def watch() -> None:
            process.wait()
            self._events.put(child)

        threading.Thread(target=watch, daemon=True).start()

    def _await(
        self, child: Child, deadline: float, is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        process = child.process
        assert process is not None
        while not child.is_ready(process):
            if not is_wanted():
                raise BrokenPipeError
            if process.poll() is not None or time.monotonic() > deadline:
                what = "ended" if process.poll() is not None else "is not ready"
                raise StackError(
                    f"{child.name} {what}, see {self._run_dir / 'logs' / child.name}.log",
                    code="stack.child",
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


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the supervisor is gone, however it went. Linux only; elsewhere TERM does it."""
    if sys.platform == "linux":
        _libc.prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main() -> None:
    """Run a stack as ordered by `stack.hold`, and answer on its pipe: the stack, or what went wrong."""
    if os.fork():
        os._exit(0)  # from now on nobody has to wait for the supervisor
    order, answer = json.loads(sys.argv[1]), int(sys.argv[2])
    configure_process(json=False)
    run_dir = Path(order["run_dir"])
    alive = (run_dir / ALIVE).open("w")
    fcntl.flock(alive, fcntl.LOCK_EX)
    supervisor: Supervisor | None = None
    try:
        try:
            supervisor = Supervisor(run_dir, order["ports"], order["server"], order["gateway"])
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, supervisor.stop)
            supervisor.stop_when_released()
            stack = supervisor.start(lambda: _is_read(answer))
        except StackError as err:
            log.error("stack failed", reason=str(err))
            _answer(answer, {"error": str(err), "code": err.code})
            return
        supervisor.publish(stack)
        log.info("stack is up")
        with suppress(BrokenPipeError):  # others may have joined: the lock decides
            _answer(answer, asdict(stack))
        supervisor.serve()
    except BrokenPipeError:
        log.warning("whoever started this is gone")
    except StackError as err:
        log.error("stack failed", reason=str(err))
    finally:
        if supervisor is not None:
            supervisor.end()
        alive.close()


def _answer(pipe: int, said: Mapping[str, object]) -> None:
    os.write(pipe, json.dumps(said).encode() + b"\n")
    os.close(pipe)


def _is_read(pipe: int) -> bool:
    """Whether somebody is left at the other end."""
    poll = select.poll()
    poll.register(pipe, 0)
    return not poll.poll(0)


if __name__ == "__main__":
    main()
