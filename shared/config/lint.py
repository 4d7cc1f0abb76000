"""What composing cannot see: rules for the files of conf/ themselves, each answered with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.config.model import slot_of, unknown_key
from shared.config.origins import DEFAULTS, Entry, entries, shown
from shared.config.snapshot import KINDS, Slot
from shared.errors import ConfigError, near

HEADER = "# @package _global_"
GLOBAL = ("agent", "env", "profile")
"""Groups whose files speak of the whole config; those of a slot speak of that slot."""

_MAY_SET = {
    "profile": (*KINDS, "session"),
    "agent": (*KINDS, "session", "handoffs", "handoff_by", "policy"),
    "env": (*KINDS, "session", "server", "policy", "endpoints"),
}
_SECRET_NAME = re.compile(r"(api_?key|secret|password|token|credentials?)$", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"""(sk|pk|rk|gsk|xi)[-_][\w-]{8,} | eyJ[\w-]+\.[\w-]+ | AIza[\w-]{10,} | API[A-Za-z0-9]{8,}
    | \w+://[^/\s:@]+:[^/\s@]+@.* | (?=\S*\d)(?=\S*[A-Za-z])[\w+/=-]{32,}""",
    re.VERBOSE,
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a file of conf/.

    Attributes:
        place: File and line.
        code: Stable, such as `lint.package`.
    """

    place: str
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True)
class _File:
    conf: Path
    path: Path
    entries: tuple[Entry, ...]

    @property
    def group(self) -> str:
        """The folder below conf/; empty for `config.yaml`."""
        return self.path.parent.name if self.path.parent != self.conf else ""

    def finding(self, line: int, code: str, text: str) -> Finding:
        return Finding(shown(self.conf, self.path, line), f"lint.{code}", text)


def lint(conf: Path) -> list[Finding]:
    """Everything that the files of `conf` do against the rules. Imports the plugins, to know their keywords."""
    found: list[Finding] = []
    files = []
    for path in sorted(conf.rglob("*.yaml")):
        try:
            files.append(_File(conf, path, tuple(entries(conf, path))))
        except ConfigError as err:
            place, _, text = str(err).partition(": ")
            found.append(Finding(place, "lint.yaml", text))
    takes = _options(conf, files)
    for file in files:
        found += _package(file)
        found += _defaults(file)
        found += _code_and_secrets(file)
        found += _closed(file)
        found += _keywords(file, takes)
    return found


def _package(file: _File) -> Iterator[Finding]:
    lines = file.path.read_text(encoding="utf-8").splitlines() or [""]
    at = next((n for n, line in enumerate(lines, 1) if "@package" in line), None)
    if file.group in GLOBAL:
        if lines[0] != HEADER:
            why = (
                "below other lines it counts for nothing"
                if at
                else f"else its keys land under {file.group}"
            )
            yield file.finding(at or 1, "package", f"the first line must be {HEADER!r}, {why}")
    elif at and file.group in ("", *KINDS):
        yield file.finding(at, "package", "only files of agent, env and profile have a @package")


def _defaults(file: _File) -> Iterator[Finding]:
    listed = [entry for entry in file.entries if entry.key[0] == DEFAULTS and len(entry.key) > 1]
    if file.group not in ("", *GLOBAL):
        if listed:
            yield file.finding(listed[0].line, "defaults", "an option of a slot has no defaults")
        return
    words = [entry for entry in listed if entry.value is not None]
    first = bool(words) and words[0].value == "_self_"
    if (not file.group and not first) or any(e.value == "_self_" for e in words[1:]):
        line = words[0].line if words else 1
        why = "" if file.group else ", or this file wins over all others"
        yield file.finding(line, "self", f"defaults must begin with _self_{why}")
    for entry in words:
        name = entry.key[-1]
        if entry.value == "_self_":
            continue
        if not file.group and name not in (*KINDS, *GLOBAL):
            hint = near(name, (*KINDS, *GLOBAL))
            yield file.finding(entry.line, "defaults", f"{name}: no such group{hint}")
        elif file.group and not re.fullmatch(rf"override /({'|'.join(KINDS)})", name):
            text = f"{name!r}: write it like 'override /tts: cartesia', for {', '.join(KINDS)}"
            yield file.finding(entry.line, "defaults", text)


def _code_and_secrets(file: _File) -> Iterator[Finding]:
    for entry in file.entries:
        name, value = entry.key[-1], entry.value or ""
        if "_target_" in name or "_target_" in value:
            yield file.finding(
                entry.line, "target", "_target_ runs code; name a provider and a type"
            )
        if re.search(r"\$\{\s*oc\.", value):
            yield file.finding(
                entry.line,
                "environment",
                "conf reads no variable; plugins read their keys by themselves",
            )
        secret = _SECRET_VALUE.fullmatch(value) and not _UUID.fullmatch(value)
        if secret or (_SECRET_NAME.search(name) and entry.key[:2] != ("policy", "allow")):
            yield file.finding(
                entry.line, "secret", f"{name} looks like a secret; put it into .env"
            )


def _closed(file: _File) -> Iterator[Finding]:
    """What this group may not set, and keys that nobody reads."""
    if file.group in KINDS:
        return
    if file.group not in ("", *GLOBAL):
        yield file.finding(
            1, "group", f"nobody reads conf/{file.group}{near(file.group, (*KINDS, *GLOBAL))}"
        )
        return
    for entry in file.entries:
        root = entry.key[0]
        if root == DEFAULTS:
            continue
        unknown = unknown_key(entry.key)
        if unknown is not None and unknown_key(entry.key[:-1]) is None:
            yield file.finding(entry.line, "unread", unknown)
        elif (
            unknown is None
            and file.group
            and len(entry.key) == 1
            and root not in _MAY_SET[file.group]
        ):
            yield file.finding(entry.line, "closed", f"{_a(file.group)} may not set {root}")
        elif (
            file.group == "agent"
            and root == "policy"
            and len(entry.key) == 2
            and entry.key[1] != "allow"
        ):
            yield file.finding(
                entry.line,
                "closed",
                "an agent may add to policy.allow and set nothing else of policy",
            )


def _a(group: str) -> str:
    return {"agent": "an agent", "env": "an environment"}.get(group, "a profile")


def _options(conf: Path, files: list[_File]) -> dict[str, dict[str, frozenset[str]]]:
    """Slot to the classes its options choose, each with its keywords. A class that cannot be found is for composing to answer."""
    from shared.config import providers  # loads LiveKit

    found: dict[str, dict[str, frozenset[str]]] = {kind: {} for kind in KINDS}
    for file in files:
        if file.group not in KINDS:
            continue
        plain = {entry.key[0]: entry.value for entry in file.entries if len(entry.key) == 1}
        slot = slot_of(file.group, {k: plain[k] for k in ("provider", "type") if plain.get(k)})
        if slot is None:
            continue
        try:
            made = Slot(**slot)
            found[file.group][made.class_name] = providers.keywords(made)
        except ConfigError:
            continue
    return found


def _keywords(file: _File, takes: Mapping[str, Mapping[str, frozenset[str]]]) -> Iterator[Finding]:
    """A file that speaks of the whole config sets only what every option of the slot takes: another file may choose another one."""
    if file.group not in ("", *GLOBAL):
        return
    for entry in file.entries:
        if entry.key[0] not in KINDS or len(entry.key) != 2:
            continue
        kind, name = entry.key
        if name in ("provider", "type"):
            text = f"{kind}.{name}: choose an option instead, its keywords come with it: defaults: [{{override /{kind}: …}}]"
            yield file.finding(entry.line, "option", text)
            continue
        without = [option for option, known in takes[kind].items() if name not in known]
        if without:
            known = sorted(frozenset().union(*takes[kind].values()))
            hint = near(name, known) if name not in known else f"; set it in a file of conf/{kind}"
            yield file.finding(
                entry.line, "keyword", f"{kind}.{name}: {', '.join(without)} does not take it{hint}"
            )
