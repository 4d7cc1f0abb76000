"""The rules under `policy.allow` as conf writes them, and what no rule may ever open to a dispatch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from shared.config.policy import Rule
from shared.config.snapshot import KINDS

NEVER = re.compile(
    r"""(^|_)(
        url | uri | host | endpoint | region | proxy | file | path | dir |
        key | keys | secret | token | password | credentials? | auth | headers? | cookies? |
        provider | type | env | client | session | executor | fallback | extra | metadata
    )(_|$) | ^_""",
    re.VERBOSE | re.IGNORECASE,
)
"""Keywords that decide where a call's words go, with whose key, or what code serves it. A dispatch may come from a browser."""

NEVER_IN_SESSION = {"turn_detection": "it belongs to the recogniser"}


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    only: str | None = None


class TextRule(_Rule):
    type: Literal["str"]
    choices: list[Annotated[str, Field(min_length=1)]] = []
    pattern: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as err:
            raise ValueError(f"no pattern, {err}") from None
        return pattern

    @model_validator(mode="after")
    def _is_bounded(self) -> TextRule:
        if bool(self.choices) == bool(self.pattern):
            raise ValueError("give choices or a pattern, one of them")
        return self


class NumberRule(_Rule):
    type: Literal["int", "float"]
    min: FiniteFloat
    max: FiniteFloat

    @model_validator(mode="after")
    def _is_a_range(self) -> NumberRule:
        if self.min >= self.max:
            raise ValueError("min must be below max")
        if self.type == "int" and not (self.min.is_integer() and self.max.is_integer()):
            raise ValueError("min and max of an int must be whole numbers")
        return self


class SwitchRule(_Rule):
    type: Literal["bool"]


AllowRule = Annotated[TextRule | NumberRule | SwitchRule, Field(discriminator="type")]


def samples(rule: Rule) -> Sequence[object]:
    """Values that the rule lets through, its bounds among them: what takes these takes all."""
    match rule.type:
        case "bool":
            return (True, False)
        case "str":
            return tuple(rule.choices) or ("text",)
        case "int":
            return (int(rule.min), int(rule.max))
        case _:
            return (rule.min, rule.max)


def why_never(key: str) -> str | None:
    """Why no rule may open this key; `None` for one that a rule may open."""
    root, *path = key.split(".")
    if root not in (*KINDS, "session"):
        return f"a dispatch may set keys of {', '.join(KINDS)} and session only"
    if root == "session":
        return NEVER_IN_SESSION.get(path[0]) if path else "it is no single value"
    if len(path) != 1:
        return f"name one keyword, like {root}.{path[0] if path else 'language'}"
    if NEVER.search(path[0]):
        return "addresses, keys, headers and classes are never open to a dispatch"
    return None


def refused(
    model: type[BaseModel], values: Mapping[str, Any], path: Sequence[str], rule: Rule
) -> str | None:
    """Why `model` does not take all of what the rule lets through at `path`; `None` where it does."""
    for sample in samples(rule):
        changed = _with(values, path, sample)
        try:
            model.model_validate(changed, strict=True)
        except ValidationError as err:
            for error in err.errors():
                if list(map(str, error["loc"][: len(path)])) == list(path):
                    return f"lets {sample!r} through, but {error['msg'].lower()}"
    return None


def _with(values: Mapping[str, Any], path: Sequence[str], value: object) -> dict[str, Any]:
    name, *inner = path
    return {**values, name: _with(values.get(name) or {}, inner, value) if inner else value}


def leaves(model: Any, above: tuple[str, ...] = ()) -> Iterable[str]:
    """Every single value that a model has, with dots between the parts of its key."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, (*above, name))
        else:
            yield ".".join((*above, name))
