"""JSONTestSuite's cases: what is JSON is taken, what is not is refused, and nothing makes the parser crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import parse_metadata

LIMITS = {
    "y_object_duplicated_key": "duplicate",
    "y_object_duplicated_key_and_value": "duplicate",
    "y_object_escaped_null_in_key": "characters",
    "y_string_allowed_escapes": "characters",
    "y_string_escaped_control_character": "characters",
    "y_string_null_escape": "characters",
    "y_string_unescaped_char_delete": "characters",
    "y_string_with_del_character": "characters",
}
"""JSON that we refuse all the same, each by the limit it is over."""


def cases() -> list[tuple[str, bytes]]:
    """Name and bytes of every case."""
    lines = Path(__file__).with_name("json_test_suite.txt").read_text(encoding="ascii").splitlines()
    rows = [json.loads(line) for line in lines if not line.startswith("#")]
    return [(name, text.encode("latin-1") * (times or [1])[0]) for name, text, *times in rows]


CASES = cases()


class SuiteMetadata(CallMetadata):
    """The base contract, with room for the longest case."""

    max_bytes = 2**20


def answer(document: str | bytes) -> str:
    """`taken`, or the code of the refusal."""
    try:
        parse_metadata(document, SuiteMetadata, strict=False)
    except MetadataError as err:
        return err.problems[0].code.removeprefix("metadata.")
    return "taken"


def inside(document: bytes) -> bytes:
    """The case as a value of a contract's free JSON."""
    return b'{"user_id": "1", "data": {"value": ' + document + b"}}"


def test_the_suite_is_whole() -> None:
    """All 318 cases are there."""
    assert [sum(name[0] == kind for name, _ in CASES) for kind in "yni"] == [95, 188, 35]


@pytest.mark.parametrize(("name", "document"), [c for c in CASES if c[0][0] == "y"])
def test_what_is_json_is_taken(name: str, document: bytes) -> None:
    """JSON is taken inside `data`, but for the limits that are named here."""
    assert answer(inside(document)) == LIMITS.get(name, "taken")


@pytest.mark.parametrize(("name", "document"), [c for c in CASES if c[0][0] == "n"])
def test_what_is_no_json_is_refused(name: str, document: bytes) -> None:
    """It is refused as a document and inside one, for not being JSON."""
    assert {answer(document), answer(inside(document))} <= {
        "json", "number", "depth", "characters", "empty",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "document"), [c for c in CASES if c[0][0] == "i"])
def test_what_parsers_may_choose_does_not_crash(name: str, document: bytes) -> None:
    """Taken or refused, in bytes or as the text that LiveKit makes of them."""
    for form in (document, inside(document)):
        assert answer(form)
        assert answer(form.decode(errors="replace"))
