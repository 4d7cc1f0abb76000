"""From a slot of the config to a plugin object: found by name, checked against its own constructor.

Any installed LiveKit plugin works with one YAML file: the class is looked up in `livekit.plugins.<provider>` and its keywords are
checked against a model derived from its signature. Keys and URLs are no keywords of the conf: keys come from the environment,
URLs from `endpoints`.
"""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from livekit.agents import NotGiven, llm, stt, tts, vad
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from shared.config import rules
from shared.config.endpoints import IN_PROCESS
from shared.config.policy import Rule
from shared.config.snapshot import Slot, Snapshot
from shared.errors import ConfigError, near

if TYPE_CHECKING:
    from shared.config.origins import Key

BASES: dict[str, tuple[type, ...]] = {
    "stt": (stt.STT,),
    "tts": (tts.TTS,),
    "llm": (llm.LLM, llm.RealtimeModel),
    "vad": (vad.VAD,),
}

DENIED = re.compile(
    r"self|client|http_session|(.*_)?(url|uri|api_key|secret|token|password|credentials)(_.*)?"
)
"""Keywords that conf may never set: secrets, addresses and objects."""


def build(slot: Slot, endpoints: Mapping[str, str]) -> Any:
    """Make the plugin object of `slot`, pointed at the endpoint of its class where there is one.

    A keyword that is null in conf is not passed: the plugin's own default holds.
    """
    keywords = {name: value for name, value in slot.keywords.items() if value is not None}
    endpoint = endpoints.get(slot.class_name)
    if endpoint is not None and endpoint != IN_PROCESS:
        keywords["base_url"] = endpoint
    return _maker(slot)(**keywords)


def check(snapshot: Snapshot) -> None:
    """Import every plugin that a call may get; check its keywords, and what `policy.allow` opens of it.

    Raises:
        ConfigError: Everything that is wrong: conf key, value and what would be right.
    """
    wrong = [
        text
        for agent, profiles in snapshot.variants.items()
        for config in profiles.values()
        for _, text in misfits(config.slots, snapshot.allow[agent])
    ]
    wrong += [
        f"endpoints: {slot.class_name}: it takes no base_url, its address is not ours to choose"
        for slot in snapshot.slots
        if snapshot.endpoints.get(slot.class_name, IN_PROCESS) != IN_PROCESS
        and "base_url" not in inspect.signature(_maker(slot)).parameters
    ]
    if wrong:
        raise ConfigError(*dict.fromkeys(wrong))


def misfits(slots: Iterable[Slot], allow: Mapping[str, Rule]) -> Iterator[tuple[Key, str]]:
    """Key and text of everything in which the slots and rules of one config do not fit the plugins."""
    for slot in slots:
        try:
            _keyword_model(slot).model_validate(dict(slot.keywords))
        except ValidationError as err:
            for error in err.errors():
                yield (slot.kind, str(error["loc"][0])), _explain(slot, dict(error))
        except ConfigError as err:
            yield (slot.kind, "provider"), str(err)
            continue
        for key, rule in allow.items():
            kind, name, *_ = key.split(".")
            if kind == slot.kind and rule.only in (None, slot.class_name):
                text = _misfit(slot, name, rule)
                if text is not None:
                    yield ("policy", "allow", key), f"policy.allow: {key}: {text}"


def keywords(slot: Slot) -> frozenset[str]:
    """What conf may set of a slot's plugin.

    Raises:
        ConfigError: There is no such plugin or class.
    """
    return frozenset(_keyword_model(slot).model_fields)


def _misfit(slot: Slot, keyword: str, rule: Rule) -> str | None:
    """Why a plugin does not go with what a rule opens."""
    model = _keyword_model(slot)
    if keyword not in model.model_fields:
        return f"{_unknown(slot, keyword)}. Open it with only: where another class is meant"
    return rules.refused(model, slot.keywords, [keyword], rule)


def _maker(slot: Slot) -> Callable[..., Any]:
    """What makes the object: the class, or its `load` where it has one."""
    found = _find(slot)
    load = getattr(found, "load", None)
    return load if inspect.ismethod(load) else found


def _find(slot: Slot) -> Any:
    try:
        module = importlib.import_module(slot.module)
    except ModuleNotFoundError as err:
        if err.name is None or not slot.module.startswith(err.name):
            raise
        raise ConfigError(
            f"{slot.kind}.provider: no LiveKit plugin {slot.provider!r} is installed."
            f" Try: pip install livekit-plugins-{slot.provider.replace('_', '-')}"
        ) from None
    found: Any = module
    for part in slot.type.split("."):  # such as realtime.RealtimeModel
        above, found = found, getattr(found, part, None)
        if found is None:
            hint = near(part, [name for name in dir(above) if name[0] != "_"])
            raise ConfigError(f"{slot.kind}.type: {slot.module} has no {slot.type!r}{hint}")
    if not (isinstance(found, type) and issubclass(found, BASES[slot.kind])):
        raise ConfigError(f"{slot.kind}: {slot.class_name} is no {slot.kind} plugin")
    return found


@cache
def _model_of(maker: Callable[..., Any]) -> type[BaseModel]:
    """A strict model with the keywords that JSON can hold; values of other types are taken as they are."""
    hints = typing.get_type_hints(maker if inspect.ismethod(maker) else maker.__init__)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(maker).parameters.items():
        if DENIED.fullmatch(name) or parameter.kind in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            continue
        required = parameter.default is parameter.empty
        fields[name] = (_plain_type(hints.get(name, Any)), ... if required else None)
    return create_model("Keywords", __config__=ConfigDict(extra="forbid"), **fields)


def _keyword_model(slot: Slot) -> type[BaseModel]:
    return _model_of(_maker(slot))


def _plain_type(hint: Any) -> Any:
    """The part of a type that a YAML value can have, else anything."""
    options = typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)
    plain = [option for option in options if option is not NotGiven and _is_plain(option)]
    if not plain or len(plain) < sum(option is not NotGiven for option in options):
        return Any
    return typing.Union[tuple(plain)] | None  # noqa: UP007 - built at run time


_UNIONS = (typing.Union, type(int | str))


def _is_plain(hint: Any) -> bool:
    if hint in (str, int, float, bool, type(None)) or typing.get_origin(hint) is typing.Literal:
        return True
    return typing.get_origin(hint) in (list, dict) and all(map(_is_plain, typing.get_args(hint)))


def _explain(slot: Slot, error: Mapping[str, Any]) -> str:
    key = str(error["loc"][0])
    if error["type"] != "extra_forbidden":
        return f"{slot.kind}.{key}: {error['msg'].lower()}, got {error['input']!r}"
    return f"{slot.kind}.{key}: {_unknown(slot, key)}"


def _unknown(slot: Slot, key: str) -> str:
    known = sorted(_keyword_model(slot).model_fields)
    hint = near(key, known) or f"; it takes {', '.join(known)}"
    return f"{slot.class_name} has no such keyword{hint}"
