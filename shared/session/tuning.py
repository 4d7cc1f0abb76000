"""Other options for the plugins of a running call: told to the plugin where it can change them, else by a new plugin in its place."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from livekit.agents import AgentSession, EndpointingOptions

from shared.config import providers
from shared.config.snapshot import CallConfig, Slot, Snapshot, resolve
from shared.metadata.contract import CallMetadata
from shared.session.build import turn_detection
from shared.session.call import Call

KINDS = ("stt", "tts", "llm")
"""The slots that can change while a call runs."""


class Tuning:
    """Keeps the plugins of one call as its metadata wants them."""

    def __init__(
        self,
        call: Call,
        session: AgentSession[Call],
        snapshot: Snapshot,
        endpoints: Mapping[str, str],
    ) -> None:
        self._call = call
        self._session = session
        self._snapshot = snapshot
        self._endpoints = endpoints

    def apply(self, metadata: CallMetadata) -> None:
        """Bring the plugins to what `metadata` asks for, at the next sentence or turn.

        Raises:
            PolicyError: It asks for what is not open to it; nothing has changed then.
        """
        now = self._call.config
        wanted = resolve(
            self._snapshot,
            now.agent,
            profile=metadata.profile,
            locale=metadata.locale,
            overrides=metadata.config,
        )
        for kind in KINDS:
            slot: Slot | None = getattr(wanted, kind)
            if slot is not None and slot != getattr(now, kind):
                self._change(kind, getattr(now, kind), slot)
        if wanted.session.turn_detection != now.session.turn_detection:
            self._session.update_options(turn_detection=turn_detection(wanted.session))
        if wanted.session.endpointing != now.session.endpointing:
            self._session.update_options(
                endpointing_opts=cast(EndpointingOptions, dict(wanted.session.endpointing))
            )
        self._call.config = _running(now, wanted)

    def _change(self, kind: str, old: Slot | None, new: Slot) -> None:
        plugin = self._call.swapped.get(kind) or getattr(self._session, kind)
        if old is not None and _take(plugin, old, new):
            return
        self._call.swapped[kind] = providers.build(new, self._endpoints)
        self._session.current_agent.update_options(**{kind: self._call.swapped[kind]})


def _take(plugin: Any, old: Slot, new: Slot) -> bool:
    """Tell a running plugin its new options; false where it cannot take all of them."""
    update = getattr(plugin, "update_options", None)
    if old.class_name != new.class_name or update is None or old.keywords.keys() - new.keywords:
        return False
    options = {
        name: value for name, value in new.keywords.items() if old.keywords.get(name) != value
    }
    if not options.keys() <= inspect.signature(update).parameters.keys():
        return False
    update(**options)
    return True


def _running(now: CallConfig, wanted: CallConfig) -> CallConfig:
    """What is in force: a session keeps its other settings to its end."""
    session = replace(
        now.session,
        endpointing=wanted.session.endpointing,
        turn_detection=wanted.session.turn_detection,
    )
    return replace(wanted, vad=now.vad, session=session)
