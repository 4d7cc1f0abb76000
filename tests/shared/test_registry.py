"""The folders under `agents/` are the agents; what one lacks is said with file and class."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agents
from shared import registry
from shared.errors import ConfigError
from shared.metadata.contract import CallMetadata


@pytest.fixture
def other_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A second folder of agents beside ours, found by the registry and by `import agents`."""
    monkeypatch.setattr(registry, "AGENTS", tmp_path)
    monkeypatch.setattr(agents, "__path__", [str(tmp_path)])
    importlib.invalidate_caches()
    registry.contract.cache_clear()
    registry.agent_class.cache_clear()
    before = set(sys.modules)
    yield tmp_path
    for module in set(sys.modules) - before:
        if module.startswith("agents."):
            del sys.modules[module]
    registry.contract.cache_clear()
    registry.agent_class.cache_clear()


def write(path: Path, text: str) -> None:
    """A file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_folders_are_names(other_agents: Path) -> None:
    """A folder with an importable name is an agent; what a checkout or an editor leaves behind is none."""
    write(other_agents / "front_desk" / "agent.py", "")
    write(other_agents / "billing" / "prompts" / "greeting.md", "")
    write(other_agents / "old" / "__pycache__" / "agent.pyc", "")
    write(other_agents / "_drafts" / "agent.py", "")
    write(other_agents / ".cache" / "agent.py", "")
    write(other_agents / "server.py", "")
    assert registry.names() == ("billing", "front_desk")


def test_names_are_read_without_loading_an_agent() -> None:
    """The command answers a wrong name before LiveKit or an agent's code loads."""
    code = (
        "import sys; from shared import registry; registry.names(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('agents', 'livekit', 'pydantic')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("ask", [registry.folder, registry.contract, registry.agent_class])
def test_an_unknown_name_is_answered_with_the_nearest(ask: object) -> None:
    """A typo is answered with the agents there are and the command to type."""
    assert callable(ask)
    with pytest.raises(ConfigError) as caught:
        ask("intak")
    assert str(caught.value) == (
        f"no agent named 'intak'; agents: {', '.join(registry.names())} (agents/*/). Try: make run AGENT=intake"
    )
    assert caught.value.exit_code == 2


def test_class_names_follow_from_the_folder(other_agents: Path) -> None:
    """Folder `front_desk` holds `FrontDeskMetadata`, and nothing has to be registered."""
    write(
        other_agents / "front_desk" / "metadata.py",
        "from shared.metadata.contract import CallMetadata\nclass FrontDeskMetadata(CallMetadata): ...\n",
    )
    write(
        other_agents / "front_desk" / "agent.py",
        "from livekit.agents import Agent\nclass FrontDeskAgent(Agent): ...\n",
    )
    assert registry.contract("front_desk").__name__ == "FrontDeskMetadata"
    assert issubclass(registry.contract("front_desk"), CallMetadata)
    assert registry.agent_class("front_desk").__name__ == "FrontDeskAgent"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param(
            None,
            r"^agents/desk/metadata.py is missing. It must hold class DeskMetadata\(CallMetadata\)",
            id="no file",
        ),
        pytest.param(
            "class Desk: ...",
            r"^agents/desk/metadata.py has no class DeskMetadata\(CallMetadata\)",
            id="no class",
        ),
        pytest.param(
            "class DeskMetadata: ...",
            r"DeskMetadata is not a subclass of CallMetadata",
            id="wrong base",
        ),
        pytest.param(
            "DeskMetadata = 1",
            r"DeskMetadata is not a subclass of CallMetadata",
            id="no class at all",
        ),
    ],
)
def test_what_an_agent_lacks_is_named(other_agents: Path, source: str | None, says: str) -> None:
    """A half-made agent is answered with the file and class to write."""
    write(other_agents / "desk" / "prompts" / "greeting.md", "Hello")
    if source is not None:
        write(other_agents / "desk" / "metadata.py", source)
    with pytest.raises(ConfigError, match=says):
        registry.contract("desk")


def test_an_agents_own_import_error_comes_through(other_agents: Path) -> None:
    """A module that an agent imports and that is missing is not mistaken for a missing agent."""
    write(other_agents / "desk" / "metadata.py", "import no_such_module_anywhere")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        registry.contract("desk")
