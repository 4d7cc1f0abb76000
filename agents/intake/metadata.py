"""What a dispatch of intake may say."""

from typing import Annotated

from shared.metadata.contract import CallMetadata, Text
from shared.metadata.marks import FromCaller, Personal


class IntakeMetadata(CallMetadata):
    """What is known before the call; intake asks for the rest."""

    reason: Annotated[Text | None, Personal, FromCaller] = None
    """The reason for the call, in the caller's own words."""
