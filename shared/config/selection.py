"""What a config is composed for: names that conf/ has files for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.config.snapshot import NO_PROFILE
from shared.errors import ConfigError, near

CONF = Path(__file__).resolve().parents[2] / "conf"


@dataclass(frozen=True)
class Selection:
    """What one config is composed for.

    Attributes:
        overrides: In Hydra's grammar, such as `llm.temperature=0.1`.
        developer: For the names that differ between developers.
    """

    agent: str
    env: str
    profile: str = NO_PROFILE
    overrides: tuple[str, ...] = ()
    developer: str = "unknown"
    conf: Path = CONF

    def __str__(self) -> str:
        return f"agent={self.agent} env={self.env} profile={self.profile}"


def environments(conf: Path = CONF) -> tuple[str, ...]:
    """The environments that conf knows."""
    return options(conf, "env")


def options(conf: Path, group: str) -> tuple[str, ...]:
    """The names that a group of conf/ has files for."""
    return tuple(sorted(path.stem for path in (conf / group).glob("*.yaml")))


def check_names(conf: Path, group: str, names: Sequence[str]) -> None:
    """Refuse a name that a group of conf/ has no file for.

    Raises:
        ConfigError: Quotes it, with the nearest one there is.
    """
    known = options(conf, group)
    for name in names:
        if name not in known:
            what = {"env": "environment"}.get(group, f"{group} in conf/{group}")
            raise ConfigError(
                f"no {what} named {name!r}; there are: {', '.join(known)}{near(name, known)}"
            )
