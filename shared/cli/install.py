"""Sets the virtual environment up. Run by the system's own Python before anything is installed, so it knows the standard library only.

python3 shared/cli/install.py local     what `make run` needs
python3 shared/cli/install.py dev       the same and what `make test` needs
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
"""A link, to nothing once the Python that made the environment is gone."""

STAMP = VENV / "installed"
LOCKS = {"local": "requirements-local.lock", "dev": "requirements-dev.lock"}
SETUP_LOCK = "requirements-setup.lock"
"""What installs the others."""

OLDEST = (3, 11)

COMPILE = """
import compileall, pathlib, sys, sysconfig
parts, part, *folders = sys.argv[1:]
folders += [sysconfig.get_path("purelib")]
files = sorted(file for folder in folders for file in pathlib.Path(folder).rglob("*.py"))
for file in files[int(part)::int(parts)]:
    compileall.compile_file(file, quiet=2)
"""
"""One of several processes that write bytecode, each its part of all files. What has not changed is passed over."""

_PDEATHSIG = 1

EXIT_CONFIG, EXIT_STACK, EXIT_INTERRUPTED = 2, 6, 130


class SetupError(Exception):
    """A step failed."""

    def __init__(self, title: str, output: str) -> None:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if "ERROR" in line), (lines or ["?"])[-1])
        if any("connection" in line.lower() for line in lines):
            reason = (
                "the package index cannot be reached. Check the network, then run the same again."
            )
        elif "ensurepip" in output:
            reason = "this Python has no venv. On Debian: apt install python3-venv"
        super().__init__(f"{title}: {reason}")


def main(words: list[str]) -> int:
    """Set up what is missing; quick where nothing is. The first word is `local` or `dev`, those after it agents' names to check."""
    wanted = words[0] if words else "local"
    if sys.version_info < OLDEST:
        have = ".".join(map(str, sys.version_info[:3]))
        return say(
            f"Python 3.11 or newer is needed, {sys.executable} is {have}. Install it, or put it first on PATH.",
            EXIT_CONFIG,
        )
    unknown = unknown_agent(" ".join(words[1:]))
    if unknown:
        return say(unknown, EXIT_CONFIG)
    if is_current(wanted):
        return 0
    # A closed terminal or a `kill` ends it like Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with alone():
            return 0 if is_current(wanted) else install(wanted)
    except KeyboardInterrupt:
        return say("\ninterrupted; the next run takes the set-up up again", EXIT_INTERRUPTED)
    except SetupError as err:
        return say(f"failed\n{err}", EXIT_STACK)


def install(wanted: str) -> int:
    """Make the environment, step by step, and write the stamp last: an interrupted set-up is not taken for a whole one."""
    STAMP.unlink(missing_ok=True)
    if not is_whole():
        step("making .venv", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]
    for lock in (SETUP_LOCK, LOCKS[wanted]):
        step(
            f"installing {lock}" + (" (a minute or two the first time)" * (lock != SETUP_LOCK)),
            [
                *pip,
                "install",
                "--quiet",
                "--require-hashes",
                "--no-deps",
                "--no-compile",
                "-r",
                str(ROOT / lock),
            ],
        )
    # compat: a path that Python reads, not a finder that each of its starts would load for 9 ms
    step(
        "installing switchboard",
        [
            *pip,
            "install",
            "--quiet",
            "--no-deps",
            "--no-compile",
            "--config-settings",
            "editable_mode=compat",
            "--editable",
            str(ROOT),
        ],
    )
    # An agent that does not parse is not this step's to refuse.
    folders = [str(ROOT / name) for name in ("agents", "bench", "shared")]
    parts = os.cpu_count() or 1
    compiling = [str(PYTHON), "-c", COMPILE, str(parts)]
    step("compiling", *([*compiling, str(part), *folders] for part in range(parts)))
    STAMP.write_text(f"{wanted} {fingerprint(wanted)}\n", encoding="utf-8")
    return 0


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one set-up of this clone in, others wait for it."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another set-up of this clone\n")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def is_whole() -> bool:
    """Whether the environment was made to its end, in this place, and its Python is still that one.

    Which Python asks does not matter: a working environment is never taken from under a running host.
    """
    try:
        lines = (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    made = dict(line.split(" = ", 1) for line in lines if " = " in line)
    return (
        made.get("command", "").endswith(f" {VENV}")
        and made.get("executable") == os.path.realpath(PYTHON)
        and PYTHON.exists()
        and (VENV / "bin" / "pip").exists()  # comes last
    )


def is_current(wanted: str) -> bool:
    """Whether the last set-up was of these lock files, and of at least what is wanted: dev holds all of local."""
    try:
        kind, print_ = STAMP.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return False
    return kind in (wanted, "dev") and print_ == fingerprint(kind) and PYTHON.exists()


def fingerprint(kind: str) -> str:
    """Of everything the set-up depends on, the place of the clone too: the environment names it."""
    found = hashlib.sha256(f"{ROOT}\0{os.path.realpath(PYTHON)}".encode())
    for file in (ROOT / SETUP_LOCK, ROOT / LOCKS[kind], ROOT / "pyproject.toml", Path(__file__)):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def unknown_agent(names: str) -> str:
    """What to say about the first name that is no agent; empty where all are."""
    known = sorted(file.parent.name for file in (ROOT / "agents").glob("*/agent.py"))
    for name in names.replace(",", " ").split():
        if name not in known:
            near = (difflib.get_close_matches(name, known, 1) or known)[0]
            return f"no agent named {name!r}; agents: {', '.join(known)} (agents/*/). Try: make run AGENT={near}"
    return ""


def step(title: str, *commands: list[str]) -> None:
    """Run one step, commands beside each other, and say how long it took. Its processes end with us, and speak only where they fail.

    Raises:
        SetupError: It failed; bears the last thing it said.
    """
    began = time.monotonic()
    tell(f"{title} … ")
    # pip and compileall keep quiet about bytecode they may not write, and the first start would pay for it.
    environ = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    with tempfile.TemporaryFile() as output:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for words in commands:
                # A session of its own: Ctrl-C reaches this process alone, which ends the others.
                processes.append(
                    subprocess.Popen(
                        words,
                        env=environ,
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                        preexec_fn=lifeline(),
                    )
                )
            statuses = [process.wait() for process in processes]
        except BaseException:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):  # it had ended
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            raise
        if any(statuses):
            output.seek(0)
            raise SetupError(title, output.read().decode(errors="replace"))
    tell(f"{time.monotonic() - began:.1f} s\n")


def lifeline() -> Callable[[], None]:
    """Have the kernel end a step when we are killed: else it goes on beside the next set-up. Linux only."""
    import ctypes  # here: the usual call, with nothing to do, need not wait for it

    libc, us = ctypes.CDLL(None), os.getpid()

    def tie() -> None:
        if sys.platform == "linux":
            libc.prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != us:
            os._exit(1)

    return tie


def say(text: str, status: int) -> int:
    """One line on stderr, and the exit code to end with."""
    tell(f"{text}\n")
    return status


def tell(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(text)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
