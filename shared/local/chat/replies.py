"""What the model answers with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Say:
    """Text for the caller."""

    text: str


@dataclass(frozen=True)
class CallTool:
    """One call of a tool."""

    name: str
    arguments: Mapping[str, Any]


Reply = Say | CallTool
