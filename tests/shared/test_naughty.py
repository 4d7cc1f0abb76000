"""Naughty strings in every text field: taken whole or refused in one error, and data in every prompt."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared import registry
from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import parse_metadata
from shared.prompts import DATA_NOTE, MAX_DATA, MAX_SPOKEN, Prompts
from tests.naughty import STRINGS

FIELDS = ("user_id", "user_name", "user_phone", "locale", "profile", "reason")
INTAKE = registry.contract("intake")


def answer(**fields: Any) -> CallMetadata | MetadataError:
    """What becomes of a dispatch with these fields."""
    try:
        return parse_metadata(json.dumps({"user_id": "1", **fields}), INTAKE)
    except MetadataError as err:
        return err


def assert_refused(refused: MetadataError, field: str, text: str) -> None:
    """One problem, of this field, that does not tell the text."""
    assert [problem.pointer for problem in refused.problems] == [f"/{field}"]
    assert len(text) < 8 or text not in str(refused)


@pytest.mark.parametrize("field", FIELDS)
def test_a_naughty_field_is_taken_whole_or_refused(field: str) -> None:
    """In every text field: the text comes out as it went in, or is refused without being quoted."""
    for text in STRINGS:
        found = answer(**{field: text})
        if isinstance(found, MetadataError):
            assert_refused(found, field, text)
            continue
        assert getattr(found, field).casefold() == text.strip().casefold()
        assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text.strip())


@pytest.mark.parametrize("field", ["data", "config"])
def test_naughty_free_json_is_taken_whole_or_refused(field: str) -> None:
    """As a value, as a key and in a list."""
    for text in STRINGS:
        for free in ({"note": text}, {text: 1}, {"notes": [text]}):
            found = answer(**{field: free})
            if isinstance(found, MetadataError):
                assert_refused(found, field, text)
            else:
                assert getattr(found, field) == free


def taken(field: str) -> Iterator[Any]:
    """Metadata with each of the texts that its contract takes in this field."""
    for text in STRINGS:
        found = answer(**{field: {"note": text} if field == "data" else text})
        if isinstance(found, CallMetadata):
            yield found


@pytest.mark.parametrize("field", ["user_name", "reason", "data"])
def test_a_naughty_text_is_quoted_data_in_instructions(field: str) -> None:
    """It changes one line of intake's instructions, and of that line what is inside a bounded JSON string."""
    prompts = Prompts.load(registry.folder("intake"))
    plain = INTAKE(user_id="1", **{field: {"note": "x"} if field == "data" else "x"})
    expected = prompts.render("instructions", plain).split("\n")
    place = next(index for index, line in enumerate(expected) if re.search(r'^- .*"x"', line))
    name = expected[place].split(": ", 1)[0]
    count = 0

    for metadata in taken(field):
        lines = prompts.render("instructions", metadata).split("\n")
        line = lines.pop(place)
        assert lines == expected[:place] + expected[place + 1 :]
        assert lines[-1] == DATA_NOTE
        assert line.startswith(f"{name}: ")
        assert line.isprintable()
        value = json.loads(line.removeprefix(f"{name}: "))
        assert len(str(value)) <= MAX_DATA
        count += 1
    assert count > 400


def test_a_naughty_name_is_spoken_as_one_plain_line() -> None:
    """The greeting around it stays as it is; the name itself cannot be markup and is bounded."""
    prompts = Prompts.load(registry.folder("intake"))

    for metadata in taken("user_name"):
        text = prompts.render("greeting", metadata)
        spoken = re.fullmatch(
            r"Hello ?(.*), thank you for calling\. Which number can we call you back on\?", text
        )
        assert spoken is not None
        assert len(spoken[1]) <= MAX_SPOKEN
        assert not set(spoken[1]) & set('<>{}[]"`\\|~^')
