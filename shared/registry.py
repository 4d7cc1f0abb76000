"""The agents of this repository. A folder under `agents/` is an agent name; nothing else lists them.

Folder `front_desk` holds `FrontDeskMetadata` in `metadata.py` and `FrontDeskAgent` in `agent.py`. This module alone loads them.
"""

from __future__ import annotations

import difflib
import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigError

if TYPE_CHECKING:
    from livekit.agents import Agent

    from shared.metadata.contract import CallMetadata

AGENTS = Path(__file__).resolve().parents[1] / "agents"


def names() -> tuple[str, ...]:
    """The names of all agents, in alphabetical order. Imports none of them."""
    return tuple(sorted(folder.name for folder in AGENTS.iterdir() if _is_agent(folder)))


def folder(name: str) -> Path:
    """The folder of an agent.

    Raises:
        ConfigError: There is no such agent; the text has the nearest name.
    """
    found = AGENTS / name
    if not (name.isidentifier() and _is_agent(found)):
        raise _unknown(name, names())
    return found


@cache
def contract(name: str) -> type[CallMetadata]:
    """The contract of an agent's metadata, without loading LiveKit.

    Raises:
        ConfigError: There is no such agent, or its folder lacks the file or the class.
    """
    from shared.metadata.contract import CallMetadata

    found: type[CallMetadata] = _load(name, "metadata", "Metadata", CallMetadata)
    return found


@cache
def agent_class(name: str) -> type[Agent]:
    """The class that is in charge of an agent's calls.

    Raises:
        ConfigError: There is no such agent, or its folder lacks the file or the class.
    """
    folder(name)  # an unknown name is answered before LiveKit loads
    from livekit.agents import Agent

    found: type[Agent] = _load(name, "agent", "Agent", Agent)
    return found


def _load(name: str, module: str, suffix: str, base: type) -> Any:
    path = folder(name) / f"{module}.py"
    wanted = "".join(part.title() for part in name.split("_")) + suffix
    shown = f"agents/{name}/{module}.py"
    if not path.is_file():
        raise ConfigError(
            f"{shown} is missing. It must hold class {wanted}({base.__name__}).", code="agent.file"
        )
    # Whatever the module fails with is its own error and comes through as it is.
    found = getattr(importlib.import_module(f"agents.{name}.{module}"), wanted, None)
    if found is None:
        raise ConfigError(f"{shown} has no class {wanted}({base.__name__}).", code="agent.class")
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(
            f"{shown}: {wanted} is not a subclass of {base.__name__}.", code="agent.class"
        )
    return found


def _is_agent(entry: Path) -> bool:
    """A folder with a name that can be imported; one with nothing but bytecode is what a checkout left behind."""
    return (
        entry.is_dir()
        and entry.name.isidentifier()
        and not entry.name.startswith("_")
        and any(inner.name != "__pycache__" for inner in entry.iterdir())
    )


def _unknown(name: str, known: tuple[str, ...]) -> ConfigError:
    near = (difflib.get_close_matches(name, known, 1) or known or ("<name>",))[0]
    what = "one agent at a time, not" if "," in name else "no agent named"
    return ConfigError(
        f"{what} {name!r}; agents: {', '.join(known)} (agents/*/). Try: make run AGENT={near}",
        code="agent.unknown",
    )
