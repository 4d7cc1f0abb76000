"""What `make` hands over to the commands behind it, beside what tests/house/test_make.py holds."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from shared.config.environment import ROOT

STUB = f"""#!{sys.executable}
import json, os, sys
kept = {{name: value for name, value in os.environ.items() if name.startswith(("SWITCHBOARD_", "PYTEST_"))}}
print(json.dumps([kept, sys.argv[1:]]))
"""


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A program that prints what it was given, in a folder of its own."""
    file = tmp_path / "bin" / "python"
    file.parent.mkdir()
    file.write_text(STUB)
    file.chmod(0o755)
    return file


def make(*words: str, **exported: str) -> tuple[dict[str, str], list[str]]:
    """Run make as a user does, and return what the stub got: variables and words."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "PYTEST_"))
    }
    done = subprocess.run(
        ["make", "--no-print-directory", "INSTALL=@true", *words],
        cwd=ROOT,
        env={**environ, **exported},
        capture_output=True,
        text=True,
        check=True,
    )
    seen, said = json.loads(done.stdout)
    return seen, said


def test_every_variable_arrives(stub: Path) -> None:
    """Each variable of the Makefile arrives under its own name, with quotes, blanks and dollars."""
    given = {
        "AGENT": "intake,support",
        "ENV": "dev",
        "SET": "llm.model='a b' tts.voice=$x",
        "ROOM": "it's $(pwd) `id`",
        "METADATA": '{"user_name": "O\'Hara", "note": "$5 #1 \\\\ \\""}',
        "ARGS": "--text \"it's me\" --text '$HOME $$' --json",
    }
    words = [f"{name}={value}" for name, value in given.items()]
    seen, said = make("call", f"SWITCHBOARD={stub}", *words)
    assert seen == {f"SWITCHBOARD_{name}": value for name, value in given.items()}
    assert said == ["call"]
    assert shlex.split(seen["SWITCHBOARD_ARGS"]) == [
        "--text", "it's me", "--text", "$HOME $$", "--json",
    ]  # fmt: skip


def test_what_is_not_given_is_not_set(stub: Path) -> None:
    """A variable without a value leaves no empty one behind, so the command's own default holds."""
    assert make("run", f"SWITCHBOARD={stub}") == ({}, ["run"])


def test_an_exported_value_counts(stub: Path) -> None:
    """What was exported by hand, by make's name or by ours, reaches the command as it is."""
    seen, _ = make("run", f"SWITCHBOARD={stub}", SET="a=$b", SWITCHBOARD_ENV="dev")
    assert seen == {"SWITCHBOARD_SET": "a=$b", "SWITCHBOARD_ENV": "dev"}


def test_args_of_test_reach_pytest_whole(stub: Path) -> None:
    """`make test ARGS=…` hands pytest words that it splits itself, and keeps the user's own options."""
    seen, said = make(
        "--old-file=check", "--old-file=install", "--old-file=setup-browser", "test", f"VENV={stub.parent}",
        "ARGS=tests/shared -k 'a or $b'", PYTEST_ADDOPTS="-x",
    )  # fmt: skip
    assert shlex.split(seen["PYTEST_ADDOPTS"]) == ["-x", "tests/shared", "-k", "a or $b"]
    assert said[:2] == ["-m", "pytest"]


def test_ci_runs_what_a_developer_runs() -> None:
    """The command for machines is `make test`, and can be executed."""
    run = ROOT / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert run.read_text().splitlines() == ["#!/usr/bin/env bash", "set -euo pipefail", "make test"]
