"""Metadata made to be slow, and text that breaks things elsewhere."""

import json

import pytest

from bench.hostile import HOSTILE
from shared import registry
from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import parse_metadata
from tests.naughty import NAUGHTY


def _answer(raw: str) -> CallMetadata | MetadataError:
    try:
        return parse_metadata(raw, registry.contract("intake"))
    except MetadataError as err:
        return err


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_input_gets_an_answer(raw: str) -> None:
    """The longest documents that are read at all, made to be slow: a contract or one error."""
    assert len(raw) <= CallMetadata.max_bytes
    assert isinstance(_answer(raw), CallMetadata | MetadataError)


@pytest.mark.parametrize(
    "field", ["user_id", "user_name", "user_phone", "locale", "profile", "reason"]
)
def test_naughty_text_is_taken_whole_or_refused(field: str) -> None:
    """In every text field: the text comes out as it went in, or is refused without being quoted."""
    for text in NAUGHTY:
        answer = _answer(json.dumps({"user_id": "1", field: text}))
        if isinstance(answer, CallMetadata):
            assert getattr(answer, field).casefold() == text.strip().casefold()
            assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in text.strip())
        else:
            assert [problem.pointer for problem in answer.problems] == [f"/{field}"]
            assert len(text) < 8 or text not in str(answer)
