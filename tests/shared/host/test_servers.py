"""What a host checks before it takes its first call."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared import registry
from shared.config.compose import ensure_snapshot
from shared.errors import ConfigError
from shared.host.servers import _check


def test_a_prompt_with_an_unknown_name_stops_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, line and name are said at start, before a call meets the prompt."""
    snapshot, _ = ensure_snapshot(["support"], "local", (), store=tmp_path, developer="ann")
    _check(snapshot)
    copy = tmp_path / "support"
    shutil.copytree(registry.folder("support"), copy)
    (copy / "prompts" / "goodbye.md").write_text("Bye,\n{{ user_nam }}.")
    monkeypatch.setattr(registry, "folder", lambda _: copy)
    with pytest.raises(ConfigError, match=r"prompts/goodbye\.md:2: unknown name 'user_nam'"):
        _check(snapshot)
