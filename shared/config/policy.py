"""What a dispatch may choose: a profile by name, and the keys of the config that `policy.allow` opens.

A value of a dispatch is data. It is compared with its rule and put into the composed config; nothing reads it as Hydra's grammar or
as an interpolation. Knows the standard library only: every job and dispatcher loads it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import PolicyError, Problem, near, pointer

MAX_KEYS = 16
"""Keys of the config in one dispatch."""

MAX_TEXT = 200
"""Characters of a text that a pattern judges."""


@dataclass(frozen=True)
class Rule:
    """What a dispatch may set one key to.

    Attributes:
        type: `str`, `int`, `float` or `bool`.
        choices: Of a `str`; empty where `pattern` judges it.
        pattern: What a `str` matches as a whole.
        min: Of a number, itself allowed; so is `max`.
        only: The class that has to serve the slot for the key to be open, such as `cartesia.TTS`; `None` for any.
    """

    type: str
    choices: Sequence[str] = ()
    pattern: str = ""
    min: float = 0
    max: float = 0
    only: str | None = None

    def fits(self, value: object) -> bool:
        """Whether a dispatch may set this value. Strict: neither `"1"` nor `true` is a number."""
        if self.type == "bool" or isinstance(value, bool):
            return self.type == "bool" and isinstance(value, bool)
        if self.type != "str":
            number = isinstance(value, int) or (self.type == "float" and isinstance(value, float))
            return number and self.min <= value <= self.max  # type: ignore[operator]
        if not isinstance(value, str) or self.choices:
            return value in self.choices
        shown = len(value) <= MAX_TEXT and value.isprintable()
        return shown and re.fullmatch(self.pattern, value) is not None

    @property
    def wanted(self) -> str:
        """What would be right, for an error."""
        match self.type:
            case "bool":
                return "true or false"
            case "str" if self.choices:
                return f"one of {', '.join(self.choices)}"
            case "str":
                return f"a text that matches {self.pattern}"
            case "int":
                return f"a whole number from {self.min:g} to {self.max:g}"
            case _:
                return f"a number from {self.min:g} to {self.max:g}"


def check_dispatch(
    agent: str,
    profile: str | None,
    config: object,
    *,
    profiles: Sequence[str],
    rules: Mapping[str, Rule],
    classes: Mapping[str, str],
) -> dict[str, Any]:
    """The keys that a dispatch sets, with dots between their parts, once all of it is allowed.

    Args:
        agent: Whom the dispatch names.
        profile: The profile it names.
        config: Its `config`: keys with dots, objects inside each other, or both.
        profiles: Those of the agent.
        rules: What is open, by key.
        classes: Slot to the class that serves it in this call.

    Raises:
        PolicyError: Everything that is not allowed at once, never with a value.
    """
    problems = []
    if profile is not None and profile not in profiles:
        text = f"no such profile, {agent} has {', '.join(profiles)}{near(profile, profiles)}"
        problems.append(Problem("/profile", "policy.profile", text))
    chosen: dict[str, Any] = {}
    if not isinstance(config, Mapping):
        problems.append(Problem("/config", "policy.type", "not a JSON object"))
    else:
        found = list(_values(config, rules))
        if len(found) > MAX_KEYS:
            text = f"{len(found)} keys, at most {MAX_KEYS}"
            problems.append(Problem("/config", "policy.limit", text))
        for path, value in found[:MAX_KEYS]:
            key = ".".join(path)
            problem = _problem(key, value, rules, classes)
            if problem is None and key in chosen:
                problem = "policy.twice", "given twice, give it once"
            if problem is not None:
                problems.append(Problem(pointer("config", *path), *problem))
            chosen[key] = value
    if problems:
        raise PolicyError(f"a dispatch of {agent} may not ask for this", problems)
    return chosen


def _values(
    config: Mapping[str, Any], rules: Mapping[str, Rule], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value with its path. Only an object on the way to an open key is looked into, so depth is bounded by the rules."""
    for key, value in config.items():
        path = (*above, str(key))
        ahead = ".".join(path) + "."
        if isinstance(value, Mapping) and any(rule.startswith(ahead) for rule in rules):
            yield from _values(value, rules, path)
        else:
            yield path, value


def _problem(
    key: str, value: object, rules: Mapping[str, Rule], classes: Mapping[str, str]
) -> tuple[str, str] | None:
    """Code and text of what is wrong with one key; `None` where it is allowed."""
    rule = rules.get(key)
    if rule is None:
        open_keys = [name for name, other in rules.items() if is_open(name, other, classes)]
        hint = near(key, open_keys) or f"; open are: {', '.join(open_keys) or 'none'}"
        return "policy.closed", f"not open to a dispatch{hint}"
    if not is_open(key, rule, classes):
        kind = key.partition(".")[0]
        return "policy.closed", f"not open here, {kind} is {classes.get(kind, 'none')}"
    if not rule.fits(value):
        return "policy.value", f"not {rule.wanted}"
    return None


def is_open(key: str, rule: Rule, classes: Mapping[str, str]) -> bool:
    """Whether the rule holds where these classes serve the slots."""
    kind = key.partition(".")[0]
    return kind == "session" or (kind in classes and rule.only in (None, classes[kind]))
