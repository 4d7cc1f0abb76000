"""A plugin that is not ours is an install and one YAML file; for one environment it is one more line."""

from __future__ import annotations

from pathlib import Path

import pytest
from livekit.agents import inference, llm
from livekit.plugins import cartesia, elevenlabs, xai

from shared.config import providers
from shared.config.lint import lint
from shared.config.snapshot import resolve
from shared.errors import ConfigError
from shared.session.build import build_plugins
from tests.shared.config.conftest import Compose

KEYS = ("ELEVEN_API_KEY", "CARTESIA_API_KEY", "DEEPGRAM_API_KEY", "OPENAI_API_KEY", "XAI_API_KEY")


@pytest.fixture
def elevenlabs_conf(conf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of conf with ElevenLabs as another voice, and a key for every provider."""
    (conf / "tts" / "elevenlabs.yaml").write_text(
        "provider: elevenlabs\nmodel: eleven_flash_v2_5\nvoice_id: EXAVITQu4vr4xnSDxMaL\n"
    )
    for name in (*KEYS, "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.setenv(name, "k" * 32)
    return conf


def test_one_line_gives_one_environment_another_voice(
    composed: Compose, elevenlabs_conf: Path
) -> None:
    """The line in conf/env is all: the other environments keep theirs, and nothing else of conf has to change."""
    env = elevenlabs_conf / "env" / "staging.yaml"
    env.write_text(
        env.read_text().replace("server:", "defaults: [{override /tts: elevenlabs}]\nserver:", 1)
    )
    made = {}
    for name in ("staging", "prod"):
        snapshot = composed(env=name, conf=elevenlabs_conf)
        providers.check(snapshot)
        made[name] = build_plugins(resolve(snapshot, "intake"), snapshot.endpoints).tts

    assert lint(elevenlabs_conf) == []
    assert type(made["staging"]) is elevenlabs.TTS
    assert made["staging"].model == "eleven_flash_v2_5"
    assert type(made["prod"]) is cartesia.TTS


def test_a_realtime_model_hears_and_speaks_by_itself(
    composed: Compose, elevenlabs_conf: Path
) -> None:
    """Another class of a plugin is chosen by `type`; with one that hears and speaks, the other slots are `none`."""
    (elevenlabs_conf / "llm" / "grok.yaml").write_text(
        "provider: xai\ntype: realtime.RealtimeModel\nvoice: Ara\nspeed: 1.1\n"
    )
    (elevenlabs_conf / "llm" / "responses.yaml").write_text(
        "provider: xai\ntype: responses.LLM\nmodel: grok-4\n"
    )
    realtime = composed("llm=grok", "stt=none", "tts=none", env="dev", conf=elevenlabs_conf)
    responses = composed("llm=responses", env="dev", conf=elevenlabs_conf)
    for snapshot in (realtime, responses):
        providers.check(snapshot)

    plugins = build_plugins(resolve(realtime, "intake"), {})
    assert isinstance(plugins.llm, llm.RealtimeModel)
    assert type(plugins.llm) is xai.realtime.RealtimeModel
    assert (plugins.stt, plugins.tts) == (None, None)
    assert type(build_plugins(resolve(responses, "intake"), {}).llm) is xai.responses.LLM


def test_livekit_serves_models_too(composed: Compose, elevenlabs_conf: Path) -> None:
    """`provider: inference` is LiveKit's own gateway, for each slot."""
    (elevenlabs_conf / "stt" / "gateway.yaml").write_text(
        "provider: inference\nmodel: deepgram/nova-3\nlanguage: en\n"
    )
    (elevenlabs_conf / "tts" / "gateway.yaml").write_text(
        "provider: inference\nmodel: cartesia/sonic-3\nvoice: 9626c31c-bec5-4cca-baa8-f8ba9e84c8bc\n"
    )
    (elevenlabs_conf / "llm" / "gateway.yaml").write_text(
        "provider: inference\nmodel: openai/gpt-4.1-mini\n"
    )
    words = ("stt=gateway", "tts=gateway", "llm=gateway")
    snapshot = composed(*words, env="dev", conf=elevenlabs_conf)
    providers.check(snapshot)
    plugins = build_plugins(resolve(snapshot, "intake"), {})

    assert type(plugins.stt) is inference.STT
    assert type(plugins.tts) is inference.TTS
    assert type(plugins.llm) is inference.LLM
    assert "livekit.plugins.inference" not in snapshot.preload


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("provider: elevenlabs\nvoice: x\n", r"elevenlabs.TTS has no such keyword; did you mean voice_id\?"),
        ("provider: xai\ntype: os.getenv\n", r"has no 'os.getenv'"),
        ("provider: xai\ntype: realtime.realtime_model.os.getenv\n", "is no tts plugin"),
        ("provider: xai\ntype: realtime.RealtimeModel\n", "is no tts plugin"),
        ("provider: xai\ntype: responses.LLM.__init__\n", "tts.type: must name a class"),
        ("provider: os\n", "no LiveKit plugin 'os' is installed"),
        ("provider: ../evil\n", "tts.provider: must name a plugin package"),
        ("provider: elevenlabs\napi_key: k\n", "no such keyword"),
        ("provider: elevenlabs\nbase_url: http://x\n", "no such keyword"),
        ("provider: xai\nws_url: http://x\n", "no such keyword"),
    ],
)  # fmt: skip
def test_what_is_no_plugin_of_the_slot_is_refused(
    composed: Compose, conf: Path, text: str, said: str
) -> None:
    """Only a class of the slot's own kind, with its own keywords, is ever made; never an address or a key."""
    (conf / "tts" / "other.yaml").write_text(text)

    with pytest.raises(ConfigError, match=said):
        providers.check(composed("tts=other", conf=conf))


def test_an_address_for_a_class_that_takes_none_is_refused(composed: Compose) -> None:
    """An endpoint that a plugin would not go to stops the host: the call would go elsewhere."""
    snapshot = composed("endpoints={inference.VAD: 'http://127.0.0.1:1'}")

    with pytest.raises(ConfigError, match=r"endpoints: inference.VAD: it takes no base_url"):
        providers.check(snapshot)
