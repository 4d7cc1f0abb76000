"""The Makefile hands values over as they are, and a wrong name is answered at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared import registry
from shared.config.environment import ROOT


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Run make as a user does, even where these tests run under make."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, env=environ)


@pytest.mark.parametrize("value", ["it's", "$HOME $(id) `id`", '{"a": "b c"}', "a;b && c | d # e"])
def test_values_arrive_unharmed(tmp_path: Path, value: str) -> None:
    """Quotes, dollars, blanks and whatever else a shell or make would read."""
    stub = tmp_path / "stub"
    stub.write_text(
        f"#!{sys.executable}\nimport json, os\n"
        "print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('SWITCHBOARD_')}))\n"
    )
    stub.chmod(0o755)
    done = make(
        "call",
        "AGENT=intake",
        f"METADATA={value}",
        f"SET={value}",
        f"SWITCHBOARD={stub}",
        "INSTALL=@true",
    )

    seen = json.loads(done.stdout)
    assert seen["SWITCHBOARD_AGENT"] == "intake"
    assert seen["SWITCHBOARD_METADATA"] == value
    assert seen["SWITCHBOARD_SET"] == value


def test_an_unknown_agent_is_answered_before_anything_heavy() -> None:
    """The nearest name, the known ones and what to type."""
    done = make("run", "AGENT=intak")

    assert done.returncode != 0
    assert f"no agent named 'intak'; agents: {', '.join(registry.names())}" in done.stderr
    assert "Try: make run AGENT=intake" in done.stderr


@pytest.mark.parametrize("folder", ["shared/gateway/page", "tests/browser"])
def test_packages_of_npm_run_no_scripts_of_their_own(folder: str) -> None:
    """One that the API page brings along reports each installation to its maker."""
    asked = ["npm", "config", "get", "ignore-scripts"]
    done = subprocess.run(asked, cwd=ROOT / folder, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "true"
