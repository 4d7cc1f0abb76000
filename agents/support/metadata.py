"""What a dispatch of support, or a handoff to it, may say."""

from typing import Annotated

from shared.metadata.contract import CallMetadata, Text
from shared.metadata.marks import FromCaller, Personal


class SupportMetadata(CallMetadata):
    """Who calls and why."""

    reason: Annotated[Text | None, Personal, FromCaller] = None
    """The reason for the call, in the caller's own words."""
