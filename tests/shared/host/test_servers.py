"""What a host checks before it takes its first call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shared.config import providers
from shared.config.compose import ensure_snapshot
from shared.errors import ConfigError
from shared.host.servers import check


def test_a_prompt_with_an_unknown_name_stops_the_host(tmp_path: Path) -> None:
    """File, line and name are said at start, before a call meets the prompt."""
    snapshot, path = ensure_snapshot(["support"], "local", (), store=tmp_path, developer="ann")
    check(snapshot, path)
    prompts = {**snapshot.prompts["support"], "goodbye": "Bye,\n{{ user_nam }}."}
    edited = replace(snapshot, prompts={**snapshot.prompts, "support": prompts})

    with pytest.raises(ConfigError, match=r"prompts/goodbye\.md:2: unknown name 'user_nam'"):
        check(edited, path)


def test_plugins_are_loaded_once_for_a_stored_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was right is not loaded again at the next start; what was wrong is said again."""
    words = ["+tts.voise=x"]
    wrong, path = ensure_snapshot(["support"], "local", words, store=tmp_path, developer="ann")
    for _ in range(2):
        with pytest.raises(ConfigError, match="did you mean voice"):
            check(wrong, path)
    right, path = ensure_snapshot(["support"], "local", (), store=tmp_path, developer="ann")
    loaded: list[object] = []
    monkeypatch.setattr(providers, "check", loaded.append)
    for _ in range(2):
        check(right, path)

    assert loaded == [right]
