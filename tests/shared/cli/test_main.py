"""The `switchboard` command as a user meets it: exit codes, and one line that says what to do."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared import registry
from shared.config.compose import ensure_snapshot
from shared.errors import SwitchboardError

NAMES = ", ".join(registry.names())
COMMAND = (sys.executable, "-m", "shared.cli.main")


def _environ(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "COLUMNS": "100",
        # a machine without sound, whatever this one has
        "PULSE_SERVER": f"unix:{tmp_path}/none",
        "ALSA_CONFIG_PATH": "/dev/null",
        "SWITCHBOARD_VAR": str(tmp_path / "var"),
    }


def switchboard(
    tmp_path: Path, *words: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command with an environment of its own and an empty run folder."""
    return subprocess.run(
        [*COMMAND, *words],
        env=_environ(tmp_path) | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _leaves(error: type[SwitchboardError]) -> set[int]:
    return {error.exit_code}.union(*(_leaves(one) for one in error.__subclasses__()))


def _host_file(tmp_path: Path, pid: int, **changed: object) -> None:
    run_dir = tmp_path / "var" / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    said: dict[str, object] = {
        "pid": pid,
        "agents": ["intake"],
        "env": "local",
        "deployment": "",
        "livekit_url": "ws://127.0.0.1:1",
        "ready_url": "http://127.0.0.1:1/ready",
    }
    (run_dir / f"host-{pid}.json").write_text(json.dumps(said | changed))


def _dead_pid() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.parametrize(
    ("words", "exit_code", "message"),
    [
        pytest.param(["call"], 2, f"call whom? agents: {NAMES}. Try: make call AGENT={registry.names()[0]}", id="no agent"),
        pytest.param(["call", "intak"], 2, f"no agent named 'intak'; agents: {NAMES}", id="unknown agent"),
        pytest.param(["call", "intake", "--metadata", "{"], 3, "metadata does not fit intake: not JSON", id="broken JSON"),
        pytest.param(["call", "intake", "--metadata", "{}"], 3, "/user_id: missing, required", id="missing field"),
        pytest.param(
            ["call", "intake", "--metadata", '{"user_id":"1","user_phone":"nonsense"}'],
            3, "/user_phone: not a phone number, write it like +12025550143", id="no phone number",
        ),
        pytest.param(["call", "intake", "--metadata", "@none.json"], 2, "--metadata: cannot read the file 'none.json': No such file", id="no file"),
        pytest.param(["call", "intake,support"], 2, "one agent at a time, not 'intake,support'", id="two agents"),
        pytest.param(["call", "intake", "--text", " "], 2, "--text is empty", id="empty text"),
        pytest.param(["call", "intake", "--wav", "none.wav"], 2, "there is no file 'none.wav'", id="no recording"),
        pytest.param(["call", "intake", "--wav", "a.wav", "--text", "Hi."], 2, "do not go together", id="text and wav"),
        pytest.param(["call", "intake", "--mic"], 2, "--mic: there is no microphone that can be opened here", id="no microphone"),
        pytest.param(["call", "intake", "--mic", "--text", "Hi."], 2, "either you speak or they do", id="microphone and text"),
        pytest.param(["console"], 2, "call whom? agents", id="nobody to write to"),
        pytest.param(["call", "intake"], 5, "intake is not running. Start it in another terminal: make run AGENT=intake", id="not running"),
        pytest.param(["call", "intake", "--env", "staging"], 5, "make run AGENT=intake ENV=staging", id="not running there"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_made_says_why(
    tmp_path: Path, words: list[str], exit_code: int, message: str
) -> None:
    """Each mistake ends with its own exit code and one line on stderr; stdout stays empty."""
    done = switchboard(tmp_path, *words)

    assert done.returncode == exit_code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_terminal_without_a_microphone_is_no_mistake(tmp_path: Path) -> None:
    """Where a person could speak but has nothing to speak into, the software caller calls, and no line is said about it."""
    terminal, end = os.openpty()
    done = subprocess.run(
        [*COMMAND, "call", "intake"],
        env=_environ(tmp_path),
        stdin=end,
        stdout=end,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(terminal)
    os.close(end)

    assert done.returncode == 5
    assert done.stderr.startswith("intake is not running")


def test_metadata_may_stand_in_a_file(tmp_path: Path) -> None:
    """`@` and a name is the content of that file, with or without a byte order mark."""
    file = tmp_path / "dispatch.json"
    file.write_text('{"user_id":"1","user_phone":"nonsense"}', encoding="utf-8-sig")

    done = switchboard(tmp_path, "call", "intake", SWITCHBOARD_METADATA=f"@{file}")

    assert done.returncode == 3
    assert "/user_phone: not a phone number" in done.stderr


def test_metadata_is_never_quoted(tmp_path: Path) -> None:
    """What a caller's metadata says is not shown in an error about it."""
    done = switchboard(
        tmp_path, "call", "intake", "--metadata", '{"user_id":"1","user_phone":"hush-hush"}'
    )

    assert done.returncode == 3
    assert "hush" not in done.stderr


def test_environment_fills_in_for_options(tmp_path: Path) -> None:
    """What `make` hands over as variables counts like options; empty ones count as not given."""
    done = switchboard(
        tmp_path,
        "call",
        SWITCHBOARD_AGENT="support",
        SWITCHBOARD_METADATA='{"user_id":"it\'s $5"}',
        SWITCHBOARD_ENV="",
        SWITCHBOARD_ROOM="",
    )

    assert done.returncode == 5
    assert done.stderr.startswith("support is not running")


def test_args_are_read_as_a_shell_would(tmp_path: Path) -> None:
    """ARGS of `make` come behind the command line, words in quotes together."""
    done = switchboard(tmp_path, "call", SWITCHBOARD_ARGS="intake --wav 'no such $file.wav'")

    assert done.returncode == 2
    assert "'no such $file.wav'" in done.stderr


def test_args_that_do_not_end_are_refused(tmp_path: Path) -> None:
    """A missing quote in ARGS is a line, not a traceback."""
    done = switchboard(tmp_path, "call", SWITCHBOARD_ARGS="--text 'Hi")

    assert done.returncode == 2
    assert done.stderr.startswith("ARGS: No closing quotation")


def test_a_host_that_died_is_not_running(tmp_path: Path) -> None:
    """The run file of a killed host counts for nothing."""
    _host_file(tmp_path, _dead_pid())

    done = switchboard(tmp_path, "call", "intake")

    assert done.returncode == 5
    assert "intake is not running" in done.stderr


def test_a_host_of_another_environment_is_named(tmp_path: Path) -> None:
    """Calling in the wrong environment says which one the agent runs in."""
    _host_file(tmp_path, os.getpid(), env="dev")

    done = switchboard(tmp_path, "call", "intake")

    assert done.returncode == 5
    assert "intake runs in ENV=dev, not in local" in done.stderr


def test_a_host_without_its_stack_is_said(tmp_path: Path) -> None:
    """A live host whose local stack is gone ends with the stack's exit code."""
    _host_file(tmp_path, os.getpid())

    done = switchboard(tmp_path, "call", "intake")

    assert done.returncode == 6
    assert "the local stack is not running" in done.stderr


def test_what_policy_refuses_is_said_before_a_call(tmp_path: Path) -> None:
    """The running host's own rules judge the dispatch: each key is named, no value, and nobody is called."""
    stored = ensure_snapshot(("intake",), "local", (), store=tmp_path, developer="ann")[1]
    _host_file(tmp_path, os.getpid(), snapshot=str(stored))
    asked = '{"user_id":"1","profile":"patiend","config":{"tts.sped":"hush","llm.base_url":"hush"}}'

    done = switchboard(tmp_path, "call", "intake", "--metadata", asked)

    assert done.returncode == 4
    assert (
        "/profile: no such profile, intake has none, patient, spanish; did you mean patient?"
        in (done.stderr)
    )
    assert "/config/tts.sped: not open to a dispatch; did you mean tts.speed?" in done.stderr
    assert "/config/llm.base_url: not open to a dispatch" in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_call_that_is_stopped_ends_quietly(
    tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    """Ctrl-C and TERM end a call that waits, with their own exit code and no traceback."""
    _host_file(tmp_path, os.getpid())
    recording = tmp_path / "a.wav"
    recording.touch()
    livekit = {
        "LIVEKIT_URL": "ws://127.0.0.1:1",
        "LIVEKIT_API_KEY": "k",
        "LIVEKIT_API_SECRET": "s",
    }
    process = subprocess.Popen(
        [*COMMAND, "call", "intake", "--wav", str(recording)],
        env=_environ(tmp_path) | livekit,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting for intake to be ready\n"

    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == exit_code
    assert (stdout, stderr) == ("", "")


def test_help_lists_every_exit_code(tmp_path: Path) -> None:
    """The table in the help has the code of every error that Switchboard raises."""
    done = switchboard(tmp_path, "--help")

    listed = {
        int(word) for line in done.stdout.splitlines() for word in line.split() if word.isdigit()
    }
    assert done.returncode == 0
    assert listed >= _leaves(SwitchboardError)


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """The command answers `--help` without LiveKit, Hydra or aiohttp."""
    program = (
        "import sys\n"
        "from shared.cli.main import app\n"
        "app(['call', '--help'], standalone_mode=False)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'livekit', 'hydra', 'omegaconf', 'aiohttp'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
