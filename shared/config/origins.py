"""Which file and line of conf/ sets a key. Reads YAML with its line marks and knows nothing of Hydra."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from shared.errors import ConfigError

Key = tuple[str, ...]
"""The parts of a key; a part may have dots, as those under `policy.allow` do."""

DEFAULTS = "defaults"


@dataclass(frozen=True)
class Layer:
    """A file of conf/ as it takes part in one composed config: the last one that sets a key wins.

    Attributes:
        name: Below `conf`, without its ending, such as `env/prod`.
        package: The key that the file's own keys are below; empty for the root.
    """

    conf: Path
    name: str
    package: str

    @property
    def file(self) -> Path:
        return self.conf / f"{self.name}.yaml"


@dataclass(frozen=True)
class Entry:
    """One key of a file.

    Attributes:
        value: The text of a plain value; `None` of an object or a list.
    """

    key: Key
    line: int
    value: str | None


def shown(conf: Path, file: Path, line: int | None = None) -> str:
    """A place as an error names it, such as `conf/env/prod.yaml:3`."""
    place = str(file.relative_to(conf.parent))
    return place if line is None else f"{place}:{line}"


def entries(conf: Path, file: Path) -> list[Entry]:
    """Every key of a file in the order of its lines.

    Raises:
        ConfigError: It is no YAML, or gives a key twice; names file and line.
    """
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark else None
        raise ConfigError(f"{shown(conf, file, line)}: not YAML, {err.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise ConfigError(f"{shown(conf, file)}: not YAML, {err}") from None
    found = list(_walk(node, ())) if node else []
    seen: set[Key] = set()
    for entry in found:
        if entry.key in seen:
            key = ".".join(entry.key)
            raise ConfigError(f"{shown(conf, file, entry.line)}: {key}: given twice, give it once")
        seen.add(entry.key)
    return found


def _walk(node: yaml.Node, above: Key) -> Iterator[Entry]:
    if isinstance(node, yaml.MappingNode):
        pairs = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(str(number), value, value) for number, value in enumerate(node.value)]
    else:
        return
    for name, start, value in pairs:
        text = value.value if isinstance(value, yaml.ScalarNode) else None
        yield Entry((*above, name), start.start_mark.line + 1, text)
        yield from _walk(value, (*above, name))


def lines(layers: Sequence[Layer]) -> dict[Key, list[str]]:
    """Key to every place that sets it; the last of them wins."""
    found: dict[Key, list[str]] = {}
    for layer in layers:
        package = tuple(layer.package.split(".")) if layer.package else ()
        for entry in entries(layer.conf, layer.file):
            if entry.key[0] != DEFAULTS or package:
                place = shown(layer.conf, layer.file, entry.line)
                found.setdefault((*package, *entry.key), []).append(place)
    return found


def chosen_at(conf: Path, group: str, option: str) -> str | None:
    """Where a defaults list chooses this option."""
    for file in sorted(conf.rglob("*.yaml")):
        for entry in entries(conf, file):
            listed = entry.key[0] == DEFAULTS and entry.key[-1] in (group, f"override /{group}")
            if listed and entry.value == option:
                return shown(conf, file, entry.line)
    return None
