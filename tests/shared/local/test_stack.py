"""The local stack on the real LiveKit server and the real stand-ins: shared, private, and gone with its last holder."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.errors import StackError
from shared.local.livekit import answers
from shared.local.stack import HeldStack, Ports, Stack, find, hold

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 60.0
USERS_OWN = {"DEEPGRAM_API_KEY", "LIVEKIT_KEYS"}

HOLDER = """
import json, sys
from pathlib import Path
from shared.local.stack import Ports, hold
def say(line):
    print(line, file=sys.stderr, flush=True)
held = hold(Path(sys.argv[1]), ports=Ports(), with_server=False, progress=say)
print(held.stack.supervisor_pid, flush=True)
if sys.argv[2:]:
    import os
    os.execv("/bin/sh", ["sh", "-c", "echo here; read line"])
sys.stdin.readline()
"""


def silent(_: str) -> None:
    """Nobody reads progress here."""


def until(what: Callable[[], object]) -> None:
    """Wait for something that happens in another process, with a limit."""
    deadline = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def gone(*pids: int | None) -> None:
    """Wait until these processes have ended."""
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids if pid))


def supervisors(run_dir: Path) -> list[psutil.Process]:
    """Those of this folder, whether they have a stack or not."""
    found = psutil.process_iter(["cmdline"])
    return [
        one for one in found if f'"run_dir": "{run_dir}"' in " ".join(one.info["cmdline"] or ())
    ]


def holder(run_dir: Path, *words: str) -> "subprocess.Popen[str]":
    """Another process that holds the stack, until its stdin ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run_dir), *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _pids(found: list[psutil.Process]) -> list[int]:
    return [one.pid for one in found]


def children(stack: Stack) -> list[int]:
    return [pid for pid in (stack.server_pid, stack.providers_pid) if pid]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HeldStack, Path]]:
    """A stack with everything, of somebody who has keys."""
    run_dir = tmp_path_factory.mktemp("full") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for name in USERS_OWN:
            patch.setenv(name, "real: key")
        held = hold(run_dir, ports=Ports(), progress=silent)
    yield held, run_dir
    held.close()
    gone(held.stack.supervisor_pid, *children(held.stack))


@pytest.fixture
def voices(tmp_path: Path) -> Iterator[tuple[HeldStack, Path]]:
    """A stack of stand-ins alone."""
    held = hold(tmp_path / "run", ports=Ports(), with_server=False, progress=silent)
    yield held, tmp_path / "run"
    held.close()
    gone(held.stack.supervisor_pid, held.stack.providers_pid)


def test_server_and_stand_ins_serve(full: tuple[HeldStack, Path]) -> None:
    """Both answer as soon as hold returns, and the stand-ins only to their key."""
    stack = full[0].stack
    assert answers(int(stack.livekit_url.rpartition(":")[2]))
    request = urllib.request.Request(f"{stack.providers_url}/_faults", method="DELETE")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    refused.value.close()
    request.add_header("Authorization", f"Bearer {stack.providers_key}")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 204


def test_only_loopback_is_listened_on(full: tuple[HeldStack, Path]) -> None:
    """No socket of the stack can be reached from another machine."""
    sockets = [
        found for pid in children(full[0].stack) for found in psutil.Process(pid).net_connections()
    ]
    assert {found.laddr.ip for found in sockets} == {"127.0.0.1"}


def test_nobody_else_reads_keys_or_logs(full: tuple[HeldStack, Path]) -> None:
    """Every file of the stack is this user's alone, and no secret is on a command line."""
    held, run_dir = full
    files = [file for file in run_dir.rglob("*") if file.name.endswith((".json", ".log"))]
    assert {file.name for file in files} == {
        "local.json", "livekit.log", "providers.log", "supervisor.log",
    }  # fmt: skip
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    stack = held.stack
    for pid in [stack.supervisor_pid, *children(stack)]:
        words = " ".join(psutil.Process(pid).cmdline())
        assert stack.livekit_api_secret not in words
        assert stack.providers_key not in words


def test_children_do_not_see_the_users_keys(full: tuple[HeldStack, Path]) -> None:
    """A real provider key and LiveKit's own variables stay out of the environment of stand-ins and server."""
    for pid in children(full[0].stack):
        assert not USERS_OWN & set(psutil.Process(pid).environ())
    assert "SWITCHBOARD_PROVIDERS_KEY" in psutil.Process(full[0].stack.providers_pid).environ()


def test_a_second_holder_keeps_it(full: tuple[HeldStack, Path]) -> None:
    """Whoever comes later joins the same stack, and its end ends nothing for the others."""
    held, run_dir = full
    second = hold(run_dir, ports=Ports(), progress=silent)
    second.close()
    assert second.stack == held.stack == find(run_dir)


def test_two_who_start_at_once_share_it(tmp_path: Path) -> None:
    """Two processes that find no stack start one, not two; it ends when the second lets go, by KILL."""
    both = [holder(tmp_path), holder(tmp_path)]
    started = {int(line(process)) for process in both}
    assert len(started) == 1
    stack = find(tmp_path)
    assert stack is not None
    both[0].communicate("\n", timeout=LIMIT_S)
    assert find(tmp_path) == stack
    both[1].kill()
    both[1].communicate(timeout=LIMIT_S)
    gone(*started, *children(stack))
    assert find(tmp_path) is None


def test_it_survives_exec(tmp_path: Path) -> None:
    """The process that a holder becomes by exec still holds the stack."""
    process = holder(tmp_path, "exec")
    line(process)
    assert line(process) == "here"
    stack = find(tmp_path)
    assert stack is not None
    process.communicate("\n", timeout=LIMIT_S)
    gone(stack.supervisor_pid, stack.providers_pid)


def test_end_and_start_at_the_same_moment(tmp_path: Path) -> None:
    """Whoever comes while the last holder leaves gets a stack that is alive and stays."""
    stacks = []
    held = hold(tmp_path, ports=Ports(), with_server=False, progress=silent)
    for _ in range(3):
        held.close()
        held = hold(tmp_path, ports=Ports(), with_server=False, progress=silent)
        stacks.append(held.stack)
        assert find(tmp_path) == held.stack
    held.close()
    gone(*(pid for stack in stacks for pid in (stack.supervisor_pid, stack.providers_pid)))


def test_nothing_stays_of_a_start_that_was_killed(tmp_path: Path) -> None:
    """A holder killed while it starts the stack leaves no process, and the next one gets a stack."""
    process = holder(tmp_path)
    assert process.stderr is not None
    assert "starting" in process.stderr.readline()
    until(lambda: any(one.children() for one in supervisors(tmp_path)))
    left = [pid for one in supervisors(tmp_path) for pid in (one.pid, *_pids(one.children()))]
    process.kill()
    process.communicate(timeout=LIMIT_S)
    gone(*left)
    assert find(tmp_path) is None
    held = hold(tmp_path, ports=Ports(), with_server=False, progress=silent)
    assert find(tmp_path) == held.stack
    held.close()
    gone(held.stack.supervisor_pid, held.stack.providers_pid)


def test_a_dead_child_comes_back_on_its_port(voices: tuple[HeldStack, Path]) -> None:
    """A stand-in process that dies is replaced at the same address, with the same key."""
    held, run_dir = voices
    os.kill(held.stack.providers_pid, signal.SIGKILL)

    def replaced() -> bool:
        stack = find(run_dir)
        return stack is not None and stack.providers_pid != held.stack.providers_pid

    until(replaced)
    stack = find(run_dir)
    assert stack is not None
    assert (stack.providers_url, stack.providers_key) == (
        held.stack.providers_url,
        held.stack.providers_key,
    )


def test_killing_the_supervisor_leaves_nothing(voices: tuple[HeldStack, Path]) -> None:
    """Its children die with it, nobody finds the stack any more, and the next holder gets a new one."""
    held, run_dir = voices
    os.kill(held.stack.supervisor_pid, signal.SIGKILL)
    gone(held.stack.providers_pid)
    until(lambda: find(run_dir) is None)
    again = hold(run_dir, ports=Ports(), with_server=False, progress=silent)
    again.close()
    assert again.stack.supervisor_pid != held.stack.supervisor_pid


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("livekit", socket.SOCK_STREAM, id="livekit"),
        pytest.param("media", socket.SOCK_DGRAM, id="media"),
        pytest.param("providers", socket.SOCK_STREAM, id="providers"),
    ],
)
def test_a_port_in_use_is_named(tmp_path: Path, name: str, kind: Any) -> None:
    """A set port that is taken ends the start with the port, its setting, and nothing left running."""
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port} .*server\.stack\.{name}=") as refused:
            hold(tmp_path, ports=Ports(**{name: port}), progress=silent)
    assert refused.value.code == "stack.port"
    assert find(tmp_path) is None


def test_a_running_stack_on_other_ports_is_named(full: tuple[HeldStack, Path]) -> None:
    """Asking for a port that the running stack does not have is refused, not ignored."""
    held, run_dir = full
    with pytest.raises(StackError, match=held.stack.providers_url):
        hold(run_dir, ports=Ports(providers=1), with_server=False, progress=silent)


def test_a_stack_file_alone_is_no_stack(tmp_path: Path, full: tuple[HeldStack, Path]) -> None:
    """A file that a killed supervisor left behind is not taken for a stack, even if its process id lives."""
    (tmp_path / "local.json").write_text(json.dumps(vars(full[0].stack)))
    assert find(tmp_path) is None
