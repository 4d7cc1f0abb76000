"""Every key that conf may set is read by someone."""

from __future__ import annotations

import re
from typing import get_type_hints

import pytest
from livekit.agents import TurnHandlingOptions

from shared.config.environment import ROOT
from shared.config.model import Server, Session
from shared.config.rules import leaves

CONFIG = ROOT / "shared" / "config"
READERS = "\n".join(
    file.read_text(encoding="utf-8")
    for file in (ROOT / "shared").rglob("*.py")
    if file not in (CONFIG / "model.py", CONFIG / "snapshot.py")
)


@pytest.mark.parametrize("key", [*leaves(Server), *leaves(Session)])
def test_every_key_is_read(key: str) -> None:
    """Some module names it, or LiveKit does where a section is handed over whole."""
    section, _, name = key.rpartition(".")
    sections = get_type_hints(TurnHandlingOptions)
    if section in sections:
        assert name in get_type_hints(sections[section])
    elif section:
        assert re.search(rf"\.{section}\b", READERS)
        assert re.search(rf"\b{name}\b", READERS)
    else:
        assert re.search(rf"\.{name}\b", READERS)
