"""From a slot of the config to a plugin object."""

from __future__ import annotations

import re
from typing import Any

import pytest
from livekit.plugins import deepgram

from shared.config.providers import build, misfits
from shared.config.snapshot import Slot


def slot(
    kind: str = "stt", provider: str = "deepgram", type: str = "STTv2", **keywords: Any
) -> Slot:
    return Slot(kind, provider, type, keywords)


def test_a_slot_becomes_the_plugins_own_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class of the plugin is built with the keywords of conf and the endpoint of its class."""
    monkeypatch.setenv("DEEPGRAM_API_KEY", "k")
    made = build(slot(model="flux-general-en"), {"deepgram.STTv2": "ws://127.0.0.1:1/v2/listen"})

    assert type(made) is deepgram.STTv2
    assert made.model == "flux-general-en"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        pytest.param(slot(modle="x"), r"stt.modle: .*did you mean model\?", id="keyword"),
        pytest.param(slot(eot_timeout_ms="soon"), r"stt.eot_timeout_ms: .*'soon'", id="type"),
        pytest.param(slot(type="STTv3"), r"has no 'STTv3'; did you mean STTv2\?", id="class"),
        pytest.param(
            slot(provider="deepgran"), r"pip install livekit-plugins-deepgran", id="plugin"
        ),
        pytest.param(slot(type="TTS"), r"deepgram.TTS is no stt plugin", id="slot"),
        pytest.param(slot(api_key="k"), r"stt.api_key: .*no such keyword", id="secret"),
        pytest.param(slot(base_url="http://x"), r"stt.base_url: .*no such keyword", id="url"),
    ],
)
def test_what_does_not_fit_the_constructor_stops_the_host(wrong: Slot, text: str) -> None:
    """A typo is found before a call, and the error says what would be right."""
    ((key, said),) = misfits([wrong], {})

    assert key[0] == "stt"
    assert re.search(text, said)
