"""From a metadata string to the contract, or to one error with everything that is wrong.

Metadata crosses a trust boundary as a string. Everything behind `parse_metadata` may rely on the model; nothing in front of it
may. No error quotes a value: it is personal data.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.errors import MetadataError, Problem, pointer
from shared.metadata.contract import MAX_DEPTH, CallMetadata, agent_of

MAX_DIGITS = 20
"""Digits of a whole number. A longer one is an id and belongs in quotes."""

MAX_UNKNOWN = 10
"""Unknown keys named in one error; the rest are counted."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKET = bytes(set(range(256)) - set(b"[{]}"))

_TEXTS = {
    "missing": "missing, required",
    "string_type": "not a string, put it in quotes",
    "string_unicode": "has half characters (lone surrogates), leave them out",
    "dict_type": "not a JSON object",
    "list_type": "not a list",
    "bool_type": "not true or false",
    "bool_parsing": "not true or false",
    "int_type": "not a whole number",
    "int_parsing": "not a whole number",
    "int_from_float": "not a whole number",
    "float_type": "not a number",
    "float_parsing": "not a number",
    "date_type": "not a date, write it like 2030-01-31",
    "date_parsing": "not a date, write it like 2030-01-31",
    "date_from_datetime_parsing": "not a date, write it like 2030-01-31",
    "date_from_datetime_inexact": "not a date, write it like 2030-01-31",
}
"""Pydantic's error types in our words. Pydantic's own texts may quote the value, so they are never shown."""

_BOUNDS = {
    "min_length": "too short, at least {}",
    "max_length": "too long, at most {}",
    "ge": "too small, at least {}",
    "gt": "too small, more than {}",
    "le": "too large, at most {}",
    "lt": "too large, less than {}",
    "expected": "not one of the choices: {}",
    "pattern": "does not match {}",
}

M = TypeVar("M", bound=CallMetadata)


class _Broken(Exception):
    """The document cannot be read at all; carries the one problem."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.problem = Problem("", f"metadata.{code}", text)


def parse_metadata(raw: str | bytes, model: type[M], *, strict: bool = True) -> M:
    """Turn a metadata document into the agent's contract.

    An empty string is an error, not "all defaults": a forgotten field must fail at dispatch, not in the middle of a call.

    Args:
        raw: The document as it came, bytes in UTF-8; at most `model.max_bytes`.
        model: The agent's contract.
        strict: Refuse unknown keys, as where a dispatch is made. Where a call is answered they are left out instead.

    Raises:
        MetadataError: The document is not JSON, not an object, or does not fit `model`. Lists every problem, quotes no value.
    """
    return check_metadata(parse_object(raw, model), model, strict=strict)


def check_metadata(fields: Mapping[str, Any], model: type[M], *, strict: bool = True) -> M:
    """Turn fields that are no longer a string into the agent's contract.

    Raises:
        MetadataError: As for `parse_metadata`.
    """
    unknown = unknown_keys(fields, model) if strict else []
    # null says the same as leaving the field out
    known = {
        key: value
        for key, value in fields.items()
        if key in model.model_fields and value is not None
    }
    try:
        metadata = model.model_validate(known, context={"locale": _text(known.get("locale"))})
    except ValidationError as err:
        problems = [_problem(one) for one in err.errors(include_url=False, include_input=False)]
        raise refusal(model, [*problems, *unknown]) from None
    if unknown:
        raise refusal(model, unknown)
    return metadata


def dump(metadata: CallMetadata) -> str:
    """The JSON to dispatch with; `parse_metadata` turns it into an equal object."""
    return metadata.model_dump_json(exclude_defaults=True)


def parse_object(raw: str | bytes, model: type[CallMetadata]) -> dict[str, Any]:
    """The JSON object in `raw`, within our limits, not yet checked against `model`.

    Raises:
        MetadataError: It is too long, not JSON, or JSON that parsers disagree about.
    """
    try:
        return _read(raw, model.max_bytes)
    except _Broken as err:
        raise refusal(model, [err.problem]) from None


def refusal(model: type[CallMetadata], problems: Iterable[Problem]) -> MetadataError:
    """The error that says these problems of this agent's metadata."""
    return MetadataError(f"metadata does not fit {agent_of(model)}", list(problems))


def unknown_keys(fields: Iterable[str], model: type[CallMetadata]) -> list[Problem]:
    """One problem for each key that the contract does not know, with the nearest name that it does know."""
    unknown = [key for key in fields if key not in model.model_fields]
    problems = []
    for key in unknown[:MAX_UNKNOWN]:
        near = difflib.get_close_matches(key, model.model_fields, 1)
        hint = f", did you mean {near[0]}?" if near else ""
        problems.append(Problem(pointer(key), "metadata.unknown", f"unknown{hint}"))
    if len(unknown) > MAX_UNKNOWN:
        more = len(unknown) - MAX_UNKNOWN
        problems.append(Problem("", "metadata.unknown", f"{more} more unknown keys"))
    return problems


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _read(raw: str | bytes, max_bytes: int) -> dict[str, Any]:
    # By length first, before anything reads it. A character is a byte or more.
    _check_size(len(raw), max_bytes)
    try:
        if isinstance(raw, bytes):
            raw = raw.decode()
        elif not raw.isascii():
            _check_size(len(raw.encode()), max_bytes)
    except UnicodeDecodeError:
        raise _Broken("characters", "not UTF-8, send UTF-8") from None
    except UnicodeEncodeError:
        raise _Broken("characters", "has half characters (lone surrogates), send UTF-8") from None
    if not raw.strip():
        raise _Broken("empty", 'empty, write at least {"user_id": "12345"}')
    if raw.count("{") + raw.count("[") > MAX_DEPTH:
        _check_depth(raw)
    try:
        value = _DECODER.decode(raw)
    except json.JSONDecodeError as err:
        reason = err.msg[0].lower() + err.msg[1:]
        raise _Broken(
            "json",
            f'not JSON, {reason} at character {err.pos + 1}; write it like {{"user_id": "12345"}}',
        ) from None
    if not isinstance(value, dict):
        raise _Broken("object", 'not a JSON object, write it like {"user_id": "12345"}')
    return value


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise _Broken("size", f"too long, at most {max_bytes} bytes")


def _check_depth(raw: str) -> None:
    """Count brackets outside strings, in C: this runs over whatever anybody sent."""
    bare = _STRING.sub("", raw).encode("ascii", "ignore")
    steps = memoryview(bare.translate(_STEPS, _NO_BRACKET)).cast("b")
    if max(accumulate(steps), default=0) > MAX_DEPTH:
        raise _Broken("depth", f"nested too deep, at most {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Broken("duplicate", "a key is given twice, give it once")
    return value


def _no_constant(name: str) -> NoReturn:
    raise _Broken("number", f"{name} is not JSON, leave it out or write null")


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Broken("number", "a number is too long, put it in quotes")
    return int(digits)


def _fraction(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Broken("number", "a number is too large, put it in quotes")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_no_constant,
    parse_int=_whole,
    parse_float=_fraction,
)


def _problem(error: ErrorDetails) -> Problem:
    kind = error["type"]
    where = pointer(*error["loc"])
    if kind.startswith("metadata."):  # a `misfit` of ours: safe to show
        return Problem(where, kind, error["msg"])
    code = "metadata.missing" if kind == "missing" else "metadata.invalid"
    if kind in _TEXTS:
        return Problem(where, code, _TEXTS[kind])
    if kind == "string_too_short" and error["ctx"]["min_length"] == 1:
        return Problem(where, code, "empty, fill it in or leave it out")
    for name, text in _BOUNDS.items():
        if name in error.get("ctx", {}):
            unit = " characters" if kind in ("string_too_short", "string_too_long") else ""
            return Problem(where, code, text.format(error["ctx"][name]) + unit)
    return Problem(where, code, "not valid")
