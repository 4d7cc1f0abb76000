"""`switchboard schema`: what is generated from contracts, agents and the shape of conf, written or compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared import registry
from shared.config.compose import ensure_snapshot
from shared.config.environment import LOCAL, ROOT, Settings
from shared.config.model import Root
from shared.config.selection import CONF
from shared.config.snapshot import KINDS, NO_PROFILE
from shared.errors import ConfigError
from shared.metadata.schema import json_schema

SCHEMAS = CONF / ".schema"
README = ROOT / "README.md"
TABLE = re.compile(r"(<!-- agents: made by `make schema` -->\n).*?(<!-- end -->)", re.DOTALL)


def schema(settings: Settings, *, check: bool) -> None:
    """Write what is generated and out of date, one path a line; with `check` only say so.

    Raises:
        ConfigError: With `check`: something is out of date.
    """
    stale = {path: text for path, text in _generated(settings) if _read(path) != text}
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        raise ConfigError(f"out of date: {names}. Try: make schema", code="schema.stale")
    for path, text in stale.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


def _generated(settings: Settings) -> Iterator[tuple[Path, str]]:
    for name in registry.names():
        yield (
            registry.folder(name) / "metadata.schema.json",
            _json(json_schema(registry.contract(name))),
        )
    yield SCHEMAS / "config.json", _json(_conf_schema())
    yield SCHEMAS / "slot.json", _json(SLOT)
    table = _table(settings)
    yield README, TABLE.sub(lambda found: found[1] + table + found[2], _read(README))


SLOT = {
    "title": f"One option of a slot ({', '.join(KINDS)})",
    "type": "object",
    "properties": {
        "provider": {
            "type": "string",
            "description": "A package of livekit.plugins, `inference`, or `none`.",
        },
        "type": {"type": "string", "description": "Another class of it than the slot's own."},
    },
    "required": ["provider"],
    "description": "Every other key is a keyword of the class, checked when a host starts.",
}


def _conf_schema() -> dict[str, Any]:
    """The shape of the composed config, of which a file sets a part."""
    raw: dict[str, Any] = json.loads(
        json.dumps(Root.model_json_schema()),
        object_hook=lambda one: {key: value for key, value in one.items() if key != "required"},
    )
    raw["properties"]["defaults"] = {"type": "array", "description": "Hydra's defaults list."}
    return raw | {"title": "conf"}


def _table(settings: Settings) -> str:
    """The agents in README's words: what a class says of itself, and the handoffs of conf."""
    names = registry.names()
    snapshot, _ = ensure_snapshot(
        names, LOCAL, (), store=settings.var / "snapshots", developer=settings.developer
    )
    rows = ["| name | does | hands over to |", "|---|---|---|"]
    for name in names:
        does = (registry.agent_class(name).__doc__ or "").strip().splitlines()[0]
        handoffs = ", ".join(snapshot.variants[name][NO_PROFILE].handoffs[name])
        rows.append(f"| {name} | {does} | {handoffs or '-'} |")
    return "\n".join(rows) + "\n"


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
