"""What a host checks before it takes its first call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shared.config.compose import ensure_snapshot
from shared.errors import ConfigError
from shared.host.servers import check


def test_a_prompt_with_an_unknown_name_stops_the_host(tmp_path: Path) -> None:
    """File, line and name are said at start, before a call meets the prompt."""
    snapshot, _ = ensure_snapshot(["support"], "local", (), store=tmp_path, developer="ann")
    check(snapshot)
    prompts = {**snapshot.prompts["support"], "goodbye": "Bye,\n{{ user_nam }}."}
    edited = replace(snapshot, prompts={**snapshot.prompts, "support": prompts})

    with pytest.raises(ConfigError, match=r"prompts/goodbye\.md:2: unknown name 'user_nam'"):
        check(edited)
