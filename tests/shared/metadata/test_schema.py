"""A contract as JSON Schema, for whoever dispatches."""

from typing import Annotated

from shared.metadata.contract import CallMetadata, Text
from shared.metadata.marks import FromCaller, Hidden, Personal
from shared.metadata.schema import json_schema


class FrontDeskMetadata(CallMetadata):
    """Who comes."""

    visitor: Annotated[Text, Personal, FromCaller, Hidden]
    """The visitor's name."""


def test_a_schema_has_help_bounds_and_marks() -> None:
    """The text below a field, its bounds and its marks are there; nothing but the contract's fields is allowed."""
    schema = json_schema(FrontDeskMetadata)
    assert schema["title"] == "Metadata of front_desk"
    assert schema["description"] == "Who comes."
    assert schema["required"] == ["user_id", "visitor"]
    assert schema["additionalProperties"] is False
    assert schema["x-max-bytes"] == 32 * 1024
    assert schema["properties"]["visitor"] == {
        "description": "The visitor's name.",
        "maxLength": 500,
        "minLength": 1,
        "type": "string",
        "x-personal": True,
        "x-from-caller": True,
        "x-hidden": True,
    }
    assert schema["properties"]["locale"]["x-live"] is True
