"""Metadata made to be slow. What it costs is the bench's business."""

import pytest

from bench.hostile import HOSTILE
from shared import registry
from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import parse_metadata


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_input_gets_one_answer(raw: str) -> None:
    """The longest documents that are read at all: a contract or one short error, never a crash."""
    assert len(raw) <= CallMetadata.max_bytes
    try:
        parse_metadata(raw, registry.contract("intake"))
    except MetadataError as err:
        assert len(str(err)) < 10_000
