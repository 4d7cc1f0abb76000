"""Metadata made to be slow. What it costs is the bench's business."""

import pytest

from bench.hostile import HOSTILE
from shared import registry
from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import parse_metadata

TAKEN = {"many objects", "deep lists", "many keys", "digits", "numbers", "long language"}
"""Large, and nothing is wrong with them."""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_gets_one_answer(name: str) -> None:
    """The longest documents that are read at all: a contract or one short error, never a crash."""
    assert len(HOSTILE[name]) <= CallMetadata.max_bytes
    taken = False
    error = ""
    try:
        parse_metadata(HOSTILE[name], registry.contract("intake"))
        taken = True
    except MetadataError as err:
        error = str(err)
    assert taken is (name in TAKEN)
    assert len(error) < 1000
