"""The shape of the composed config, checked when a snapshot is made: a misspelt key stops here, not in a call."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.config import rules
from shared.config.origins import Key, entries
from shared.config.policy import Rule
from shared.config.snapshot import KINDS
from shared.errors import ConfigError, near

Place = Callable[[Key], str]
"""Where a key was set, for an error: file and line, or the override."""

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)

_DEFAULT_TYPES = {"stt": "STT", "tts": "TTS", "llm": "LLM", "vad": "VAD"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Endpointing(_Strict):
    mode: Literal["fixed", "dynamic"] = "fixed"
    min_delay: float = Field(ge=0, le=10)
    max_delay: float = Field(ge=0, le=30)


class Interruption(_Strict):
    enabled: bool | None = None
    mode: Literal["adaptive", "vad"] | None = None
    min_duration: float | None = Field(None, ge=0, le=10)
    min_words: int | None = Field(None, ge=0, le=20)


class PreemptiveGeneration(_Strict):
    enabled: bool
    preemptive_tts: bool = False


class Session(_Strict):
    turn_detection: Literal["stt", "vad", "inference"] | None
    endpointing: Endpointing
    interruption: Interruption
    preemptive_generation: PreemptiveGeneration
    user_away_timeout: float | None = Field(gt=0)


class Stack(_Strict):
    livekit: int = Field(ge=0, le=65535)
    media: int = Field(ge=0, le=65535)
    providers: int = Field(ge=0, le=65535)
    gateway: int = Field(ge=0, le=65535)


class Server(_Strict):
    deployment: str = Field(pattern=r"^[A-Za-z0-9-]{0,64}$")
    max_jobs: int = Field(ge=1)
    load: Literal["cpu", "none"]
    load_threshold: float = Field(gt=0, le=1)
    port: int = Field(ge=0, le=65535)
    idle_processes: int = Field(ge=0, le=64)
    drain_timeout_s: int = Field(ge=1)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    log_json: bool
    stack: Stack


class Policy(_Strict):
    on_misfit: Literal["reject", "degrade"]
    allow: dict[str, rules.AllowRule | None]


class Root(_Strict):
    """Everything under conf/, composed."""

    developer: str
    stt: dict[str, Any]
    tts: dict[str, Any]
    llm: dict[str, Any]
    vad: dict[str, Any]
    session: Session
    server: Server
    policy: Policy
    languages: dict[Annotated[str, Field(pattern="^[a-z]{2,3}$")], str]
    endpoints: dict[str, str]
    handoffs: list[str]
    handoff_by: Literal["session", "dispatch"]


def checked(raw: Mapping[str, Any], place: Place, classes: Callable[[str], Sequence[str]]) -> Root:
    """The composed config, once all of it is right.

    Args:
        raw: As Hydra composed it.
        place: Where a key was set.
        classes: Slot to the classes that some file of conf/ chooses for it.

    Raises:
        ConfigError: Everything that is wrong, each with its place.
    """
    try:
        root = Root.model_validate(raw)
    except ValidationError as err:
        raise ConfigError(*(_line(dict(one), place) for one in err.errors())) from None
    wrong = [*_wrong_slots(root, place), *_wrong_rules(root, place, classes)]
    if wrong:
        raise ConfigError(*wrong)
    return root


def slot_of(kind: str, raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """A slot as the snapshot has it; `None` where conf says `provider: none`."""
    keywords = dict(raw)
    provider = keywords.pop("provider")
    if provider == "none":
        return None
    name = keywords.pop("type", _DEFAULT_TYPES[kind])
    return {"kind": kind, "provider": provider, "type": name, "keywords": keywords}


def class_of(kind: str, raw: Mapping[str, Any]) -> str | None:
    """The class that a file of a group chooses, such as `cartesia.TTS`."""
    slot = slot_of(kind, raw) if raw.get("provider") else None
    return f"{slot['provider']}.{slot['type']}" if slot else None


def classes_of(conf: Path, kind: str) -> tuple[str, ...]:
    """The classes that the files of a slot's group choose."""
    files = sorted((conf / kind).glob("*.yaml"))
    plain = [{e.key[0]: e.value for e in entries(conf, file)} for file in files]
    return tuple(dict.fromkeys(name for one in plain if (name := class_of(kind, one))))


def _wrong_slots(root: Root, place: Place) -> Iterator[str]:
    for kind in KINDS:
        slot = getattr(root, kind)
        for key, default in (("provider", None), ("type", _DEFAULT_TYPES[kind])):
            name = slot.get(key, default)
            parts = str(name).split(".") if key == "type" else [name]
            if not all(isinstance(part, str) and _NAME.fullmatch(part) for part in parts):
                what = "a plugin package" if key == "provider" else "a class"
                yield f"{place((kind, key))}: {kind}.{key}: must name {what}, got {name!r}"


def _wrong_rules(
    root: Root, place: Place, classes: Callable[[str], Sequence[str]]
) -> Iterator[str]:
    for key, rule in plain_rules(root).items():
        kind, *path = key.split(".")
        wrong = rules.why_never(key)
        if wrong is None and kind == "session":
            known = tuple(rules.leaves(Session))
            wrong = (
                f"no such key{near('.'.join(path), known)}; there are: {', '.join(known)}"
                if ".".join(path) not in known
                else rules.refused(Session, root.session.model_dump(), path, Rule(**rule))
            )
        only = rule.get("only")
        if wrong is None and only is not None and only not in (there := classes(kind)):
            wrong = f"only: no file in conf/{kind} chooses {only!r}{near(only, there)}; there are: {', '.join(there) or 'none'}"
        if wrong is not None:
            yield f"{place(('policy', 'allow', key))}: policy.allow: {key}: {wrong}"


def plain_rules(root: Root) -> dict[str, dict[str, Any]]:
    """`policy.allow` as the snapshot has it."""
    allow = root.policy.allow
    return {key: rule.model_dump(exclude_unset=True) for key, rule in allow.items() if rule}


def _line(error: Mapping[str, Any], place: Place) -> str:
    # A rule's own type stands in the path of what is wrong with it.
    key = [str(part) for part in error["loc"]]
    if key[:2] == ["policy", "allow"]:
        del key[3:4]
    shown = f"{place(tuple(key))}: {'.'.join(key)}"
    match error["type"]:
        case "extra_forbidden" if key[:2] != ["policy", "allow"]:
            return f"{place(tuple(key))}: {unknown_key(tuple(key))}"
        case "extra_forbidden":
            return f"{shown}: no such key of this type of rule"
        case "missing":
            return f"{shown}: missing, required"
        case "union_tag_invalid" | "union_tag_not_found":
            return f"{shown}: write type: str, int, float or bool, and what bounds it"
        case "value_error":
            return f"{shown}: {error['ctx']['error']}"
    return f"{shown}: {error['msg'].lower()}, got {error['input']!r}"


def unknown_key(key: Key) -> str | None:
    """What to say about a key that nobody reads; `None` for one of the model's, or below a free part of it."""
    model: Any = Root
    for depth, part in enumerate(key):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return None
        known = sorted(model.model_fields)
        if part not in known:
            return f"{'.'.join(key[: depth + 1])}: no such key{near(part, known)}; there are: {', '.join(known)}"
        model = model.model_fields[part].annotation
    return None
