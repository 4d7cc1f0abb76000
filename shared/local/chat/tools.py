"""What a request's tools need, read from their JSON Schemas."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from shared.local.chat.words import stem, vocabulary, words

Kind = Literal[
    "name", "phone", "email", "date", "time", "moment", "count", "amount", "choice", "flag", "code", "text"
]  # fmt: skip

_PHONE = re.compile(r"\be\.?164\b", re.IGNORECASE)
_READ_BACK = re.compile(
    r"\b(?:read|repeat|say)s?\b.{0,60}\bback\b|\bconfirm(?:s|ed)?\b|\bget a yes\b|\bafter a yes\b",
    re.IGNORECASE,
)
_ABOUT_CALL = re.compile(
    r"\b(?:reason|why|about what|what .{0,30} about|topic|subject|issue|problem|purpose|concern|matter)\b",
    re.IGNORECASE,
)
_LOOKUP = frozenset({"question", "query", "search", "q", "topic", "keywords", "request"})
_VERBS = vocabulary(
    "get set find look up lookup save take make do create add send to call end transfer hand handoff over check record submit"
    " start open the a for of and run fetch search give tell put log store"
)
_ENDS_NAME = re.compile(
    r"(?:end|close|finish|hang_?up|terminate)_?(?:the_)?(?:call|conversation|session)?|goodbye|hang_?up"
)
_HANDS_OVER = re.compile(r"\b(?:transfer|hand|forward|connect|escalate|handoff)\b")
_ENDS = re.compile(
    r"\b(?:goodbye|hang(?:s|ing)? up|end (?:the|this) (?:call|conversation))\b", re.IGNORECASE
)
PERSON = vocabulary(
    "full user caller customer guest contact person your my client patient of the and s"
)


@dataclass(frozen=True)
class Slot:
    """One parameter: what it takes and how to speak of it."""

    name: str
    kind: Kind
    description: str
    required: bool
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    listed: bool = False
    nullable: bool = False
    only: bool = True

    @property
    def key(self) -> str:
        """What a value is remembered by, so that a second tool need not ask for a name or number again."""
        shared = self.only and self.kind in ("name", "phone", "email")
        return self.kind if shared else self.name

    @cached_property
    def label(self) -> str:
        """Its name in words."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])|_|-", " ", self.name).lower().strip()

    @cached_property
    def stems(self) -> frozenset[str]:
        """The words by which a caller or an agent means it."""
        text = f"{self.label} {re.split('[.:;(]', self.description)[0]}"
        return frozenset(stem(word) for word in words(text)) - _EMPTY

    @property
    def about_call(self) -> bool:
        """Whether it is why the caller calls: an opening sentence may hold it."""
        return self.kind == "text" and bool(_ABOUT_CALL.search(f"{self.label} {self.description}"))


@dataclass(frozen=True)
class Tool:
    """One function that may be called."""

    name: str
    description: str
    slots: tuple[Slot, ...]

    @cached_property
    def required(self) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if slot.required)

    @property
    def is_direct(self) -> bool:
        """Whether it can be called without a question."""
        return not self.required

    @property
    def ends_call(self) -> bool:
        return self.is_direct and bool(
            _ENDS_NAME.fullmatch(self.name) or _ENDS.search(self.description)
        )

    @property
    def hands_over(self) -> bool:
        """Whether somebody else goes on with the caller."""
        return self.is_direct and bool(_HANDS_OVER.search(" ".join(self.name_words)))

    @property
    def question(self) -> Slot | None:
        """Of a lookup: the one parameter that is the caller's own words."""
        if len(self.required) != 1 or self.required[0].kind != "text":
            return None
        slot = self.required[0]
        return slot if _LOOKUP & {*slot.name.split("_")} else None

    @property
    def is_form(self) -> bool:
        return not self.is_direct and self.question is None

    @cached_property
    def name_words(self) -> tuple[str, ...]:
        return tuple(words(re.sub(r"(?<=[a-z])(?=[A-Z])|_|-", " ", self.name)))

    @cached_property
    def nouns(self) -> frozenset[str]:
        """Stems of its name that only this tool stands for."""
        return frozenset(stem(word) for word in self.name_words if word not in _VERBS)

    @cached_property
    def verbs(self) -> frozenset[str]:
        return frozenset(stem(word) for word in self.name_words if word in _VERBS)

    def reads_back(self, instructions: str) -> bool:
        return bool(_READ_BACK.search(self.description) or _READ_BACK.search(instructions))

    def slot(self, name: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.name == name), None)


_EMPTY = frozenset(
    stem(word)
    for word in vocabulary(
        "the a an of to for in on and or their they caller caller's user such as own words one sentence call with is what"
    )
)


def read_tools(definitions: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """The functions among a request's tools."""
    found = []
    for definition in definitions:
        function = definition.get("function")
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            found.append(_read_tool(function))
    return tuple(found)


def _read_tool(function: Mapping[str, Any]) -> Tool:
    schema = function.get("parameters")
    schema = schema if isinstance(schema, Mapping) else {}
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    required = required if isinstance(required, list) else []
    parts = [
        (name, *_resolved(part, schema), name in required) for name, part in properties.items()
    ]
    kinds = [_kind(name, part) for name, part, _, _ in parts]
    slots = tuple(
        Slot(
            name=name,
            kind=kind,
            description=" ".join(str(part.get("description") or "").split()),
            required=wanted and not nullable,
            choices=tuple(choice for choice in part.get("enum") or () if choice is not None),
            low=_bound(part, "minimum", "exclusiveMinimum", 1),
            high=_bound(part, "maximum", "exclusiveMaximum", -1),
            listed=bool(part.get("listed")),
            nullable=nullable,
            only=kinds.count(kind) == 1,
        )
        for (name, part, nullable, wanted), kind in zip(parts, kinds, strict=True)
    )
    description = " ".join(str(function.get("description") or "").split())
    return Tool(str(function["name"]), description, slots)


def _resolved(part: Any, schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """A parameter's schema without references, alternatives and null; and whether null will do."""
    found: dict[str, Any] = dict(part) if isinstance(part, Mapping) else {}
    nullable = False
    for _ in range(4):
        reference = found.pop("$ref", None)
        if isinstance(reference, str):
            target = (schema.get("$defs") or {}).get(reference.rsplit("/", 1)[-1])
            found = {**(target if isinstance(target, Mapping) else {}), **found}
        branches = found.pop("anyOf", None) or found.pop("oneOf", None) or found.pop("allOf", None)
        if isinstance(branches, list):
            others = [each for each in branches if isinstance(each, Mapping)]
            real = [each for each in others if each.get("type") != "null"]
            nullable |= len(real) < len(others)
            found = {**(real[0] if real else {}), **found}
        if found.get("type") == "array" and isinstance(found.get("items"), Mapping):
            found = {**found["items"], **found, "type": found["items"].get("type"), "listed": True}
    kinds = found.get("type")
    if isinstance(kinds, list):
        nullable |= "null" in kinds
        found["type"] = next((kind for kind in kinds if kind != "null"), "string")
    if "const" in found:
        found["enum"] = [found["const"]]
    if isinstance(found.get("enum"), list):
        nullable |= None in found["enum"]
    else:
        found.pop("enum", None)
    return found, nullable


def _kind(name: str, part: Mapping[str, Any]) -> Kind:
    kind, form = part.get("type"), part.get("format")
    label = set(words(name.replace("_", " ").replace("-", " ")))
    about = str(part.get("description") or "")
    if part.get("enum"):
        return "choice"
    if kind == "boolean":
        return "flag"
    if kind == "integer":
        return "count"
    if kind == "number":
        return "amount"
    if form == "date-time":
        return "moment"
    if form == "time":
        return "time"
    if form == "date":
        return "date"
    if form in ("email", "idn-email") or label & {"email", "mail"}:
        return "email"
    if form in ("phone", "tel") or _PHONE.search(about) or label & {"phone", "telephone", "mobile"}:
        return "phone"
    if "number" in label and re.search(
        r"\b(?:phone|telephone|call .{0,20}back)\b", about + name.replace("_", " "), re.IGNORECASE
    ):
        return "phone"
    if label & {"callback"} and "number" in label:
        return "phone"
    if label & {"date", "day", "birthday"} and not label & {"time"}:
        return "date"
    if label & {"time"} and re.search(
        r"time of day|HH:MM|\d:\d\d|what time|o'clock", about, re.IGNORECASE
    ):
        return "time"
    if label & {"number", "code", "id", "zip", "postcode", "reference", "pin"}:
        return "code"
    if "name" in label and label - {"name"} <= PERSON:
        return "name"
    return "text"


def _bound(part: Mapping[str, Any], inclusive: str, exclusive: str, step: int) -> float | None:
    for key, shift in ((inclusive, 0), (exclusive, step)):
        value = part.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value + shift
    return None
