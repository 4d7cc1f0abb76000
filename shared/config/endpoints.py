"""Where plugins find their provider, where that is not their own default."""

from __future__ import annotations

from collections.abc import Mapping

from shared.config.snapshot import Slot, Snapshot
from shared.errors import ConfigError

IN_PROCESS = "in-process"
"""The endpoint of a class that opens no socket."""


def local_endpoints(url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Where each plugin class finds its stand-in; the shapes differ, so does what the plugins want."""
    return {
        "deepgram.STT": f"{url}/v1/listen",
        "deepgram.STTv2": f"{url.replace('http', 'ws', 1)}/v2/listen",
        "cartesia.TTS": url,
        "openai.LLM": variables.get("OPENAI_BASE_URL", f"{url}/v1"),
    }


def check_endpoints(snapshot: Snapshot, endpoints: Mapping[str, str]) -> None:
    """A local call must not reach a provider by accident."""
    known = {**snapshot.endpoints, **endpoints}
    lost = [slot for slot in snapshot.slots if slot.kind != "vad" and slot.class_name not in known]
    if lost:
        raise ConfigError(
            f"{', '.join(_named(slot) for slot in lost)} has no stand-in in ENV=local, there are: {', '.join(known)}."
            f" Give it an address under endpoints in conf/env/local.yaml, or {IN_PROCESS} where it opens no socket.",
            code="config.endpoint",
        )


def _named(slot: Slot) -> str:
    return f"{slot.kind} {slot.class_name}"
