"""`switchboard new`: an agent that answers calls, to be changed into what it is for."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from string import Template

from shared import registry
from shared.cli.schema import schema
from shared.config.environment import ROOT, Settings
from shared.config.selection import CONF
from shared.errors import ConfigError

TEMPLATES = Path(__file__).parent / "templates"
"""The files of an agent; `$name`, `$words`, `$title` and `$class` stand for its name."""

NAME = re.compile(r"[a-z]{2,}\d*(_[a-z]{2,}\d*)*")
LONGEST_NAME = 40
TAKEN = ("server",)


def new(settings: Settings, name: str) -> None:
    """Write the folder, the conf file and the schema of an agent.

    Raises:
        ConfigError: The name is taken or cannot be one.
    """
    _check(name)
    words = name.replace("_", " ")
    values = {
        "name": name,
        "words": words,
        "title": words.capitalize(),
        "class": "".join(part.title() for part in name.split("_")),
    }
    for template in sorted(TEMPLATES.rglob("*.txt")):
        path = _target(template, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Template(template.read_text(encoding="utf-8"))
        path.write_text(text.substitute(values), encoding="utf-8")
        print(path.relative_to(ROOT))
    schema(settings, check=False)
    print(
        f"Start it with make run AGENT={name}, call it with make call AGENT={name}.",
        file=sys.stderr,
    )


def _target(template: Path, name: str) -> Path:
    """Where a template goes: `agent.py.txt` into the agent's folder, `conf.yaml.txt` into conf."""
    if template.name == "conf.yaml.txt":
        return CONF / "agent" / f"{name}.yaml"
    return registry.AGENTS / name / template.relative_to(TEMPLATES).with_suffix("")


def _check(name: str) -> None:
    if not name:
        raise ConfigError("an agent needs a name. Try: make new AGENT=billing", code="agent.name")
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} cannot be an agent's name: write words in small letters with _ between them,"
            f" at most {LONGEST_NAME} characters. Try: make new AGENT=front_desk",
            code="agent.name",
        )
    conf = CONF / "agent" / f"{name}.yaml"
    there = next((path for path in (registry.AGENTS / name, conf) if path.exists()), None)
    if there is not None or name in TAKEN:
        shown = there.relative_to(ROOT) if there else f"agents/{name}.py"
        raise ConfigError(
            f"the name {name!r} is taken by {shown}. Choose another one.", code="agent.taken"
        )
