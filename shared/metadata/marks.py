"""Marks: what a field of a contract may do and who may see it. They stand in the annotation and nowhere else.

    birth_date: Annotated[date | None, Personal, FromCaller] = None

`Personal`    kept out of logs, errors and traces, in any text of that call
`FromCaller`  a participant may set it: its metadata, its attributes, SIP
`Live`        may change while the call runs
`Hidden`      never shown to the model
`Public`      may ride in a token
"""

from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any

from pydantic import BaseModel


class Mark(Enum):
    """One mark; use the names below, as in `Annotated[str, Personal]`."""

    PERSONAL = "Personal"
    FROM_CALLER = "FromCaller"
    LIVE = "Live"
    HIDDEN = "Hidden"
    PUBLIC = "Public"


Personal = Mark.PERSONAL
FromCaller = Mark.FROM_CALLER
Live = Mark.LIVE
Hidden = Mark.HIDDEN
Public = Mark.PUBLIC

NOBODY = "unknown"
"""The user id of a call of which no source says whose it is: nothing to keep out of a log."""

DIGITS_THAT_TELL = 5
"""A number shorter than this is a count, not somebody's number."""


@cache
def marked(model: type[BaseModel], mark: Mark) -> frozenset[str]:
    """The names of the fields of `model` that carry `mark`."""
    return frozenset(name for name, field in model.model_fields.items() if mark in field.metadata)


def personal_values(metadata: BaseModel) -> Iterator[tuple[str, str]]:
    """Field and text of every value in the fields marked `Personal`, nested ones too: what a log of this call must not show."""
    dumped = metadata.model_dump(mode="json", include=set(marked(type(metadata), Personal)))
    for name, value in dumped.items():
        for text in texts(value):
            if text != NOBODY:
                yield name, text


def texts(value: Any) -> Iterator[str]:
    """Every text and telling number in JSON, keys apart."""
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from texts(inner)
        case list():
            for inner in value:
                yield from texts(inner)
        case bool() | None:
            pass
        case int() | float() if len(str(value)) >= DIGITS_THAT_TELL:
            yield str(value)
