"""Stored snapshots: named by everything they depend on, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from shared import registry
from shared.config.snapshot import VERSION

_MAKERS = ("compose.py", "model.py", "providers.py", "rules.py")
"""The code that a snapshot's content comes from, and that checks it."""


def digest_of(
    conf: Path, agents: Sequence[str], env: str, overrides: Sequence[str], developer: str
) -> str:
    """Of everything the result depends on: conf, prompts, arguments, and the versions of Hydra and of the plugins."""
    found = hashlib.sha256()
    for folder, files in sources(conf).items():
        for file in files:
            found.update(f"{file.relative_to(folder)}\0".encode())
            found.update(file.read_bytes())
    for name in _MAKERS:
        found.update((Path(__file__).parent / name).read_bytes())
    versions = sorted(
        f"{dist.name}={dist.version}"
        for dist in metadata.distributions()
        if dist.name.startswith(("livekit", "hydra", "omegaconf"))
    )
    found.update(
        json.dumps([VERSION, sorted(agents), env, list(overrides), developer, versions]).encode()
    )
    return found.hexdigest()[:16]


def sources(conf: Path) -> dict[Path, list[Path]]:
    """The files that a snapshot is made from, conf and the prompts of all agents, by the folder they are in."""
    prompts = registry.AGENTS.glob("*/prompts/*.md")
    return {conf: sorted(conf.rglob("*.yaml")), registry.AGENTS: sorted(prompts)}


def write(path: Path, raw: Mapping[str, Any]) -> None:
    """Write whole or not at all: another process may be reading."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(raw, file, ensure_ascii=False, indent=1)
    Path(name).replace(path)
