"""The rules for the files of conf/: each one fires with file and line, and conf as shipped keeps them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.lint import lint
from shared.config.selection import CONF

HEAD = "# @package _global_\n"


def test_conf_as_shipped_keeps_the_rules() -> None:
    """Nothing is found in conf/."""
    assert lint(CONF) == []


@pytest.mark.parametrize(
    ("file", "text", "line", "code", "said"),
    [
        pytest.param("env/prod.yaml", "server: {max_jobs: 1}\n", 1, "package", "else its keys land under env", id="no header"),
        pytest.param("env/prod.yaml", "# Ours.\n" + HEAD + "server: {max_jobs: 1}\n", 2, "package", "below other lines it counts for nothing", id="header too low"),
        pytest.param("tts/other.yaml", "\n" + HEAD + "provider: openai\n", 2, "package", "only files of agent, env and profile", id="header of an option"),
        pytest.param("config.yaml", "defaults:\n  - stt: deepgram_flux\n  - _self_\n", 2, "self", "must begin with _self_", id="self last"),
        pytest.param("config.yaml", "defaults:\n  - stt: deepgram_flux\n", 2, "self", "must begin with _self_", id="no self"),
        pytest.param("config.yaml", "handoffs: []\n", 1, "self", "must begin with _self_", id="no defaults"),
        pytest.param("config.yaml", "defaults:\n  - _self_\n  - agnet: x\n", 3, "defaults", "did you mean agent?", id="no such group"),
        pytest.param("env/prod.yaml", HEAD + "defaults:\n  - overide /tts: cartesia\n", 3, "defaults", "write it like 'override /tts: cartesia'", id="misspelt override"),
        pytest.param("env/prod.yaml", HEAD + "defaults: [{override /tss: cartesia}]\n", 2, "defaults", "write it like", id="override of no slot"),
        pytest.param("env/prod.yaml", HEAD + "defaults: [{override /llm: openai}, _self_]\n", 2, "self", "must begin with _self_", id="self after an override"),
        pytest.param("tts/other.yaml", "defaults: [cartesia]\nprovider: openai\n", 1, "defaults", "has no defaults", id="defaults of an option"),
        pytest.param("tts/other.yaml", "provider: openai\n_target_: os.system\n", 2, "target", "_target_ runs code", id="target"),
        pytest.param("tts/other.yaml", "provider: openai\nvoice: ${oc.env:HOME}\n", 2, "environment", "conf reads no variable", id="variable"),
        pytest.param("tts/other.yaml", "provider: openai\napi_key: x\n", 2, "secret", "api_key looks like a secret; put it into .env", id="key by name"),
        pytest.param("tts/other.yaml", "provider: openai\nvoice: sk-abcdefghijklmnop\n", 2, "secret", "voice looks like a secret", id="key by its start"),
        pytest.param("tts/other.yaml", "provider: openai\nvoice: 0123456789abcdef0123456789abcdef01234567\n", 2, "secret", "voice looks like a secret", id="key by its look"),
        pytest.param("env/prod.yaml", HEAD + "endpoints:\n  openai.LLM: https://user:word@host/v1\n", 3, "secret", "openai.LLM looks like a secret", id="password in a URL"),
        pytest.param("profile/fast.yaml", HEAD + "server:\n  max_jobs: 1\n", 2, "closed", "a profile may not set server", id="profile: server"),
        pytest.param("profile/fast.yaml", HEAD + "policy: {on_misfit: degrade}\n", 2, "closed", "a profile may not set policy", id="profile: policy"),
        pytest.param("profile/fast.yaml", HEAD + "endpoints: {openai.LLM: http://x}\n", 2, "closed", "a profile may not set endpoints", id="profile: endpoints"),
        pytest.param("profile/fast.yaml", HEAD + "env: prod\n", 2, "unread", "env: no such key", id="profile: env"),
        pytest.param("agent/intake.yaml", HEAD + "server: {max_jobs: 1}\n", 2, "closed", "an agent may not set server", id="agent: server"),
        pytest.param("agent/intake.yaml", HEAD + "policy:\n  on_misfit: degrade\n", 3, "closed", "add to policy.allow and set nothing else", id="agent: policy"),
        pytest.param("env/prod.yaml", HEAD + "sesion:\n  turn_detection: vad\n", 2, "unread", "did you mean session?", id="unread root"),
        pytest.param("env/prod.yaml", HEAD + "session:\n  endpointing: {max_dely: 1}\n", 3, "unread", "did you mean max_delay?", id="unread key"),
        pytest.param("evn/prod.yaml", HEAD, 1, "group", "nobody reads conf/evn; did you mean env?", id="unread folder"),
        pytest.param("agent/intake.yaml", HEAD + "stt:\n  language: en-GB\n", 3, "keyword", "deepgram.STTv2 does not take it; set it in a file of conf/stt", id="not for all options"),
        pytest.param("profile/fast.yaml", HEAD + "stt: {modl: x}\n", 2, "keyword", "did you mean model?", id="for no option"),
        pytest.param("env/prod.yaml", HEAD + "tts:\n  provider: elevenlabs\n", 3, "option", "override /tts", id="option by value"),
        pytest.param("env/prod.yaml", HEAD + "server: {max_jobs: 1\n", 3, "yaml", "not YAML", id="not YAML"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_found(
    conf: Path, file: str, text: str, line: int, code: str, said: str
) -> None:
    """The finding names file and line, and what would be right."""
    path = conf / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)

    (finding,) = lint(conf)

    assert finding.place == f"conf/{file}:{line}"
    assert finding.code == f"lint.{code}"
    assert said in finding.text


def test_a_secret_is_not_repeated(conf: Path) -> None:
    """What looks like a key is not shown where everybody reads along."""
    (conf / "tts" / "other.yaml").write_text("provider: openai\nvoice: sk-abcdefghijklmnop\n")

    (finding,) = lint(conf)

    assert "abcdef" not in str(finding)


@pytest.mark.parametrize(
    "value", ["9626c31c-bec5-4cca-baa8-f8ba9e84c8bc", "gpt-4.1-mini", "flux-general-en"]
)
def test_ids_and_names_are_no_secrets(conf: Path, value: str) -> None:
    """A voice's id and a model's name pass."""
    (conf / "tts" / "other.yaml").write_text(f"provider: openai\nvoice: {value}\n")

    assert lint(conf) == []


def test_what_every_option_takes_may_be_set_anywhere(conf: Path) -> None:
    """`model` is a keyword of each recogniser, so an agent may set it whatever option is chosen."""
    (conf / "agent" / "intake.yaml").write_text(HEAD + "handoffs: []\nstt:\n  model: x\n")

    assert lint(conf) == []
