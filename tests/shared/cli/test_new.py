"""`make new` and `make schema` in a copy of this repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.cli.new import NAME, _check
from shared.config.environment import ROOT
from shared.errors import ConfigError


def switchboard(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command of the copy."""
    return subprocess.run(
        [sys.executable, "-m", "shared.cli.main", *words],
        cwd=copy,
        env={"PATH": os.environ["PATH"], "HOME": str(copy)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what makes agents, to which `front_desk` was added."""
    copy = tmp_path_factory.mktemp("repository")
    for folder in ("agents", "shared", "conf"):
        left_out = shutil.ignore_patterns("node_modules", "dist")
        shutil.copytree(ROOT / folder, copy / folder, ignore=left_out)
    for file in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / file, copy)
    done = switchboard(copy, "new", "front_desk")
    assert done.returncode == 0, done.stderr
    assert "make call AGENT=front_desk" in done.stderr
    written = done.stdout.splitlines()
    assert {"agents/front_desk/agent.py", "conf/agent/front_desk.yaml", "README.md"} <= set(written)
    assert all((copy / path).is_file() for path in written)
    return copy


def test_a_new_agent_is_whole(copy: Path) -> None:
    """Contract, class, conf and prompts are found, and its prompts use names its contract has."""
    look = (
        "from shared import prompts, registry as r\n"
        "prompts.check(prompts.Prompts.load(r.folder('front_desk')), r.contract('front_desk'))\n"
        "print(*sorted(prompts.Prompts.load(r.folder('front_desk')).names))\n"
        "print(r.agent_class('front_desk').__doc__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=copy, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "apology goodbye greeting instructions resume",
        "Takes messages for front desk.",
    ]
    assert "| front_desk | Takes messages for front desk. | - |" in (copy / "README.md").read_text()


def test_a_new_agent_is_clean(copy: Path) -> None:
    """What `make new` writes passes lint and format as it is."""
    for words in (["check", "--quiet"], ["format", "--quiet", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "agents"],
            cwd=copy,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_what_is_out_of_date_is_named(copy: Path) -> None:
    """An edited contract fails the check until `make schema` wrote its schema anew."""
    assert switchboard(copy, "schema", "--check").returncode == 0
    contract = copy / "agents" / "front_desk" / "metadata.py"
    contract.write_text(contract.read_text().replace("message", "remark"))

    done = switchboard(copy, "schema", "--check")
    assert done.returncode == 2
    assert done.stderr == (
        "out of date: agents/front_desk/metadata.schema.json. Try: make schema\n"
    )

    assert switchboard(copy, "schema").stdout == "agents/front_desk/metadata.schema.json\n"
    schema = json.loads((contract.parent / "metadata.schema.json").read_text())
    assert schema["properties"]["remark"]["x-from-caller"] is True


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "an agent needs a name. Try: make new AGENT=billing"),
        ("Billing", "'Billing' cannot be an agent's name"),
        ("front-desk", "'front-desk' cannot be an agent's name"),
        ("../x", "cannot be an agent's name"),
        ("import", "'import' cannot be an agent's name"),
        ("a" * 41, "at most 40 characters"),
        ("intake", "the name 'intake' is taken by agents/intake"),
        ("server", "the name 'server' is taken by agents/server.py"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, says: str) -> None:
    """One line, before anything is written."""
    with pytest.raises(ConfigError) as caught:
        _check(name)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_name_that_can_be_is_found_again() -> None:
    """Name to class and class to name agree, or an error would name another agent."""
    from shared.metadata.contract import CallMetadata, agent_of

    for name in ("billing", "front_desk", "line2", "night_desk2"):
        assert NAME.fullmatch(name)
        title = "".join(part.title() for part in name.split("_"))
        assert agent_of(type(f"{title}Metadata", (CallMetadata,), {})) == name
