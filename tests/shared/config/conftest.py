"""Snapshots and folders of conf that a test may change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config.compose import ensure_snapshot
from shared.config.selection import CONF
from shared.config.snapshot import Snapshot

Compose = Callable[..., Snapshot]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snapshots")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of conf/ that a test may change."""
    return Path(shutil.copytree(CONF, tmp_path / "conf"))


@pytest.fixture(scope="session")
def composed(store: Path) -> Compose:
    def compose(
        *overrides: str,
        env: str = "local",
        agents: tuple[str, ...] = ("intake",),
        conf: Path = CONF,
    ) -> Snapshot:
        return ensure_snapshot(agents, env, overrides, store=store, developer="ann", conf=conf)[0]

    return compose
