"""A contract as JSON Schema: for whoever dispatches, and for forms and editors."""

import re
from typing import Any

from shared.metadata.contract import CallMetadata, agent_of
from shared.metadata.marks import Mark


def json_schema(model: type[CallMetadata]) -> dict[str, Any]:
    """The JSON Schema of an agent's metadata; a mark such as `FromCaller` is `"x-from-caller": true` on its field."""
    raw = model.model_json_schema()
    for name, field in model.model_fields.items():
        told = raw["properties"][name]
        told.pop("title", None)
        told |= {_keyword(mark): True for mark in Mark if mark in field.metadata}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **raw,
        "title": f"Metadata of {agent_of(model)}",
        "x-max-bytes": model.max_bytes,
    }


def _keyword(mark: Mark) -> str:
    return "x" + re.sub(r"(?=[A-Z])", "-", mark.value).lower()
