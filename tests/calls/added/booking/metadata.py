"""What a dispatch of booking may say: the base contract."""

from shared.metadata.contract import CallMetadata


class BookingMetadata(CallMetadata):
    """Nothing more than every agent is told."""
