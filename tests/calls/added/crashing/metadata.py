"""What a dispatch of crashing may say: the base contract."""

from shared.metadata.contract import CallMetadata


class CrashingMetadata(CallMetadata):
    """Nothing more than every agent is told."""
