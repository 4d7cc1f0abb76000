"""All of conf/ at once: the rules for its files, and every config that can be composed from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared.config import providers
from shared.config.compose import compose_each, sources
from shared.config.lint import Finding, lint
from shared.config.model import Root, plain_rules, slot_of
from shared.config.policy import Rule
from shared.config.selection import Selection, environments, options
from shared.config.snapshot import KINDS, Slot
from shared.errors import ConfigError


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        configs: How many were composed.
    """

    findings: Sequence[Finding]
    configs: int


def check(conf: Path, agents: Sequence[str]) -> Report:
    """Lint the files, then compose each agent in each environment with each profile, and with each option of a slot alone."""
    found = lint(conf)
    chosen = _selections(conf, agents)
    whole: list[tuple[Selection, Root]] = []
    for selection, made in compose_each(chosen):
        if isinstance(made, ConfigError):
            found += [_finding(text, selection) for text in made.texts]
        else:
            whole.append((selection, made))
    for selection, root in whole:
        slots = [slot_of(kind, getattr(root, kind)) for kind in KINDS]
        rules = {key: Rule(**rule) for key, rule in plain_rules(root).items()}
        found += misfits(selection, [Slot(**slot) for slot in slots if slot], rules)
    first: dict[str, Finding] = {}
    for finding in found:
        first.setdefault(str(finding), finding)
    return Report(tuple(first.values()), len(chosen))


def _selections(conf: Path, agents: Sequence[str]) -> list[Selection]:
    bases = [Selection(agent, env, conf=conf) for agent in agents for env in environments(conf)]
    return [
        *(replace(base, profile=profile) for base in bases for profile in options(conf, "profile")),
        *(
            replace(base, overrides=(f"{kind}={option}",))
            for base in bases
            for kind in KINDS
            for option in options(conf, kind)
        ),
    ]


def misfits(
    selection: Selection, slots: Iterable[Slot], allow: Mapping[str, Rule]
) -> list[Finding]:
    """Everything in which one config does not fit its plugins, each with the place that sets it."""
    found = list(providers.misfits(slots, allow))
    places = sources(selection) if found else {}
    return [
        Finding(places.get(key, [f"conf for {selection}"])[-1], "config.invalid", text)
        for key, text in found
    ]


def _finding(text: str, selection: Selection) -> Finding:
    """An error of composing; it begins with its place where it has one."""
    place, _, rest = text.partition(": ")
    if rest and place.startswith(selection.conf.name + "/"):
        return Finding(place, "config.invalid", rest)
    return Finding(f"conf for {selection}", "config.invalid", text)
