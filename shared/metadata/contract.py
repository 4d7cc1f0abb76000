"""The contract every agent's metadata is built on.

    class IntakeMetadata(CallMetadata):
        reason: Annotated[Text | None, Personal, FromCaller] = None

A field is one line there; parsing, error texts and redaction follow from it.
"""

import math
import re
from copy import copy
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationInfo,
    create_model,
)
from pydantic_core import PydanticCustomError

from shared.metadata.marks import FromCaller, Live, Personal
from shared.metadata.phone import is_national, region, to_e164

NO_COUNTRY = "country"
"""Code of a phone number that a locale would complete."""

MAX_DEPTH = 16
"""Objects and lists inside each other, the document itself included."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_BUT_LAYOUT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PROFILE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LOCALE = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?(?P<rest>(?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*)",
    re.IGNORECASE,
)
_CHARACTERS = "has control characters or half characters, leave them out"


def misfit(code: str, text: str) -> PydanticCustomError:
    """What a validator of a contract raises. Both texts are shown as they are, so neither may hold the value."""
    return PydanticCustomError(f"metadata.{code}", text)


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise misfit("characters", _CHARACTERS)
    return text


def _phone(number: str, info: ValidationInfo) -> str:
    """Numbers are read with the locale of the same call, whichever source gave it."""
    locale = (info.context or {}).get("locale")
    e164 = to_e164(number, locale=locale)
    if e164 is not None:
        return e164
    if is_national(number) and not region(locale):
        raise misfit(NO_COUNTRY, "a number without its country, write it like +12025550143")
    raise misfit("phone", "not a phone number, write it like +12025550143")


def _locale(tag: str) -> str:
    parts = _LOCALE.fullmatch(tag)
    if parts is None:
        raise misfit("locale", "not a language tag, write it like en-US")
    language, script, region, rest = parts.group("language", "script", "region", "rest")
    script = f"-{script.title()}" if script else ""
    region = f"-{region.upper()}" if region else ""
    return f"{language.lower()}{script}{region}{rest.lower()}"


def _profile(name: str) -> str:
    if not _PROFILE.fullmatch(name):
        raise misfit("profile", "not a profile name, use lower-case letters, digits, - and _")
    return name


def _free(value: dict[str, Any]) -> dict[str, Any]:
    """Free JSON is bounded in depth and holds nothing that a database, a log or another JSON parser would choke on."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH - 1):
        below: list[Any] = []
        for inner in level:
            if isinstance(inner, str):
                if _CONTROL_BUT_LAYOUT.search(inner):
                    raise misfit("characters", _CHARACTERS)
            elif isinstance(inner, list):
                below += inner
            elif isinstance(inner, dict):
                for key in inner:
                    if not isinstance(key, str):
                        raise misfit("json", "has a key that is not a string")
                    below.append(key)
                below += inner.values()
            elif isinstance(inner, float):
                if not math.isfinite(inner):
                    raise misfit("number", "has a number that is not finite")
            elif not isinstance(inner, int | None):
                raise misfit("json", "has a value that JSON does not know")
        if not below:
            return value
        level = below
    raise misfit("depth", f"nested too deep, at most {MAX_DEPTH} levels")


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(_plain),
]
"""One line of text as a person would say or type it."""

ProfileName = Annotated[str, AfterValidator(_profile)]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
    AfterValidator(_plain),
]
PhoneNumber = Annotated[str, AfterValidator(_phone)]
Locale = Annotated[str, AfterValidator(_locale)]
FreeJson = Annotated[dict[str, Any], AfterValidator(_free)]


class CallMetadata(BaseModel):
    """What every agent is told about a call. An agent's own contract adds fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    max_bytes: ClassVar[int] = 32 * 1024
    """The longest document an agent takes; longer ones are refused unread. A contract may set another."""

    user_id: Annotated[Name, Personal]
    """Who the call is about, in the dispatcher's own system."""

    user_name: Annotated[Name | None, Personal, FromCaller] = None
    """The caller's full name."""

    user_phone: Annotated[PhoneNumber | None, Personal, FromCaller] = None
    """The caller's phone number, in E.164 such as +15105550123."""

    locale: Annotated[Locale | None, FromCaller, Live] = None
    """The caller's language as a BCP 47 tag such as en-US."""

    profile: ProfileName | None = None
    """The named config profile to use."""

    config: Annotated[FreeJson, Live] = {}
    """Config values for this call; `policy.allow` says which."""

    data: Annotated[FreeJson, Personal, Live] = {}
    """Anything else, for this agent's prompts and tools."""


M = TypeVar("M", bound=CallMetadata)


def agent_of(model: type[CallMetadata]) -> str:
    """The agent name a contract belongs to: `FrontDeskMetadata` is front_desk's."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.__name__.removesuffix("Metadata")).lower()


@cache
def without_required(model: type[M]) -> type[M]:
    """The same contract, in which a field that must be there may be `None`."""
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if info.is_required() and name != "user_id":
            optional = copy(info)
            optional.default = None
            fields[name] = (info.annotation, optional)
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)
