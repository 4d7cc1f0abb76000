"""What a dispatch of repair must say."""

from typing import Annotated

from shared.metadata.contract import CallMetadata, Text
from shared.metadata.marks import Personal


class RepairMetadata(CallMetadata):
    """Who dispatches knows what is broken."""

    product: Annotated[Text, Personal]
    """What is broken."""
