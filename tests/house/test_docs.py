"""README, `make help` and the code say the same."""

from __future__ import annotations

import re
import subprocess

import pytest

from shared import errors, prompts, registry
from shared.config.compose import ensure_snapshot
from shared.config.environment import ROOT
from shared.config.selection import CONF

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_the_commands_as_make_help_does() -> None:
    """Each line of `make help` stands in the README."""
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    commands = [line.strip() for line in done.stdout.splitlines() if line.startswith("  make ")]

    assert len(commands) > 5
    for command in commands:
        assert command in README


def test_the_readme_is_short() -> None:
    """Somebody reads it to its end."""
    assert len(README.splitlines()) <= 200


def test_the_readme_has_every_exit_code() -> None:
    """The table has the exit code of each kind of error."""
    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.SwitchboardError)
    }

    for code in codes:
        assert f"| {code} |" in README


def test_the_readme_has_every_agent(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The table has each agent with the first line of its class and those it hands over to."""
    snapshot, _ = ensure_snapshot(
        registry.names(), "local", (), store=tmp_path_factory.mktemp("s"), developer="ann"
    )
    for name in registry.names():
        does = (registry.agent_class(name).__doc__ or "").splitlines()[0]
        targets = ", ".join(snapshot.variants[name]["none"].handoffs[name]) or "-"
        assert re.search(rf"\| {name} \| {re.escape(does)} \| {targets} ?\|", README)


@pytest.mark.parametrize("name", registry.names())
def test_every_agent_is_whole(name: str) -> None:
    """A folder has conf, contract, class and prompts that use only names its contract has."""
    assert (CONF / "agent" / f"{name}.yaml").is_file()
    assert registry.contract(name)
    assert registry.agent_class(name)
    prompts.check(prompts.Prompts.load(registry.folder(name)), registry.contract(name))
    needed = {"instructions", "greeting", "goodbye", "apology", "resume"}
    assert needed <= prompts.Prompts.load(registry.folder(name)).names
