"""Set-up by the system's own Python, on a small clone: real venv, real pip, packages from a folder instead of the network."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shared.cli.install import LOCKS, SETUP_LOCK
from tests.wheels import write_wheel

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 60.0

BACKEND = """
from pathlib import Path
from wheels import write_wheel

def build_editable(folder, config_settings=None, metadata_directory=None):
    root = str(Path(__file__).parent)
    return write_wheel(Path(folder), "switchboard", "0.1.0", {"switchboard.pth": root + "\\n"}).name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


class Clone:
    """A clone in miniature."""

    def __init__(self, root: Path, wheels: Path) -> None:
        self.root = root
        self.wheels = wheels

    @property
    def script(self) -> Path:
        return self.root / "shared" / "cli" / "install.py"

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "installed"

    def environ(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    def install(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-S", str(self.script), *(words or ("local",))],
            env=self.environ(**environ),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    def require(self, name: str, *, digest: str = "") -> None:
        """Lock one package, its hash with it."""
        for lock in LOCKS.values():
            (self.root / lock).write_text(self.locked(name, digest))

    def locked(self, name: str, digest: str = "") -> str:
        wheel = self.wheels / f"{name}-1.0-py3-none-any.whl"
        digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
        return f"{name}==1.0 --hash=sha256:{digest}\n"

    def has(self, module: str) -> bool:
        words = [str(self.root / ".venv" / "bin" / "python"), "-c", f"import {module}"]
        return subprocess.run(words, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone after its first set-up, and what that said."""
    folder = tmp_path_factory.mktemp("clone")
    clone = Clone(folder / "clone", folder / "wheels")
    for name in ("installer", "first", "second", "forged"):
        write_wheel(clone.wheels, name, "1.0", {f"{name}.py": "", f"{name}_more/__init__.py": ""})
    clone.script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "shared" / "cli" / "install.py", clone.script)
    shutil.copy(ROOT / "tests" / "wheels.py", clone.root)
    (clone.root / "backend.py").write_text(BACKEND)
    (clone.root / "pyproject.toml").write_text(PROJECT)
    for name in ("intake", "support"):
        (clone.root / "agents" / name).mkdir(parents=True)
        (clone.root / "agents" / name / "agent.py").write_text("")
    (clone.root / "agents" / "intake" / "broken.py").write_text("def")
    (clone.root / "bench").mkdir()
    (clone.root / SETUP_LOCK).write_text(clone.locked("installer"))
    clone.require("first")
    done = clone.install()
    assert done.returncode == 0, done.stderr
    return clone, done.stderr


@pytest.fixture
def clone(made: tuple[Clone, str]) -> Clone:
    """The same, set up, whatever the test before did to it."""
    clone = made[0]
    clone.require("first")
    assert clone.install().returncode == 0
    return clone


def test_it_says_what_it_does(made: tuple[Clone, str]) -> None:
    """One line a step, each with its seconds, nothing of pip's own; what installs the rest comes first."""
    lines = made[1].splitlines()
    assert SETUP_LOCK in lines[1]
    assert [line.split(" ")[0] for line in lines] == [
        "making",
        "installing",
        "installing",
        "installing",
        "compiling",
    ]
    assert all(line.endswith(" s") for line in lines)


def test_everything_is_compiled(clone: Clone) -> None:
    """Dependencies and our own code start from bytecode, even where the environment forbids to write any."""
    compiled = {file.name.split(".")[0] for file in clone.root.rglob("*.pyc")}
    assert {"installer", "first", "agent", "install"} <= compiled


def test_the_second_call_does_nothing(clone: Clone) -> None:
    """It is silent and takes no time; dev asks for more than local, local for nothing that dev lacks."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        assert clone.install().stderr == ""
        times.append(time.perf_counter() - began)
    assert min(times) < 0.2
    assert "requirements-dev.lock" in clone.install("dev").stderr
    assert clone.install("local").stderr == ""


def test_a_changed_lock_file_is_installed(clone: Clone) -> None:
    """Another lock file is installed by the next call, into the environment that is there."""
    clone.require("second")
    said = clone.install().stderr
    assert "installing requirements-local.lock" in said
    assert "making" not in said
    assert clone.has("second")


def test_a_wrong_hash_is_refused(clone: Clone) -> None:
    """A package that is not the locked one fails the set-up, and no stamp says otherwise."""
    clone.require("forged", digest="0" * 64)
    done = clone.install()
    assert done.returncode == 6
    assert "HASHES" in done.stderr
    assert not clone.stamp.exists()
    assert not clone.has("forged")


def test_a_moved_clone_is_set_up_anew(clone: Clone) -> None:
    """Scripts name the place they were made for, so another place gets others."""
    place = clone.root.with_name("moved")
    shutil.move(clone.root, place)
    clone.root = place  # and there it stays: the way back would be another move
    assert "making .venv" in clone.install().stderr
    pip = (place / ".venv" / "bin" / "pip").read_text()
    assert str(place) in pip


def test_an_environment_without_its_python_is_made_anew(clone: Clone) -> None:
    """When another Python stands where the environment's own was, as after an upgrade, the next call makes another."""
    other = clone.root / "other"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    python = clone.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(other)
    assert "making .venv" in clone.install().stderr
    assert clone.has("first")


def test_without_network_one_line_says_so(clone: Clone) -> None:
    """An index that cannot be reached is named as such, with what to do."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        clone.require("third", digest="0" * 64)
        environ = {
            "PIP_NO_INDEX": "0",
            "PIP_INDEX_URL": index,
            "PIP_FIND_LINKS": "",
            "PIP_RETRIES": "1",
        }
        done = clone.install(**environ)
    assert done.returncode == 6
    last = done.stderr.splitlines()[-1]
    assert "the package index cannot be reached. Check the network" in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_ended_it_leaves_no_pip(clone: Clone, number: signal.Signals) -> None:
    """However it is ended while pip waits for its index, pip ends too and the next call repairs."""
    with socket.socket() as index:
        index.bind(("127.0.0.1", 0))
        index.listen()
        index.settimeout(LIMIT_S)
        clone.require("third", digest="0" * 64)
        environ = clone.environ(
            PIP_NO_INDEX="0",
            PIP_INDEX_URL=f"http://127.0.0.1:{index.getsockname()[1]}/",
            PIP_FIND_LINKS="",
        )
        process = subprocess.Popen(
            [sys.executable, "-S", str(clone.script), "local"],
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        asked, _ = index.accept()
        with asked:
            started = psutil.Process(process.pid).children()
            process.send_signal(number)
            _, said = process.communicate(timeout=LIMIT_S)
            assert started
            _, alive = psutil.wait_procs(started, LIMIT_S)
    assert not alive
    assert not clone.stamp.exists()
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert said.splitlines()[-1] == "interrupted; the next run takes the set-up up again"
    clone.require("first")
    assert clone.install().returncode == 0
    assert clone.stamp.exists()


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        pytest.param("intake,suport", "'suport'", id="one of two"),
        pytest.param("suport", "'suport'", id="alone"),
        pytest.param("intake, xyz", "'xyz'", id="after a blank"),
    ],
)
def test_an_unknown_agent_comes_before_set_up(clone: Clone, asked: str, names: str) -> None:
    """A wrong name is answered with the right ones, by exit code 2, before anything is installed."""
    clone.stamp.unlink()
    done = clone.install("local", asked)
    assert done.returncode == 2
    near = "intake" if "xyz" in names else "support"
    assert done.stderr == (
        f"no agent named {names}; agents: intake, support (agents/*/). Try: make run AGENT={near}\n"
    )
    assert not clone.stamp.exists()


def test_an_old_python_is_named(clone: Clone) -> None:
    """Python 3.10 gets one line with the version wanted and the one found."""
    pretend = "import runpy, sys; sys.version_info = (3, 10, 4); runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", pretend, str(clone.script)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "3.10.4" in done.stderr
    assert len(done.stderr.splitlines()) == 1
