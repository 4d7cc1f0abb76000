"""Composing conf/: what wins, what is refused, what is stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared import registry
from shared.config.compose import ensure_snapshot
from shared.config.selection import CONF, environments
from shared.config.snapshot import resolve
from shared.errors import ConfigError
from tests.shared.config.conftest import Compose

ALL = registry.names()


@pytest.mark.parametrize("env", environments())
def test_every_environment_composes_for_every_agent(composed: Compose, env: str) -> None:
    """Each agent has a config with a voice, an ear and a model in each environment and profile."""
    snapshot = composed(env=env, agents=ALL)

    for agent in ALL:
        for profile, config in snapshot.variants[agent].items():
            assert (config.agent, config.env, config.profile) == (agent, env, profile)
            assert config.stt
            assert config.tts
            assert config.llm


def test_names_of_agents_and_conf_agree() -> None:
    """A folder under agents/ has a file in conf/agent, and the other way round."""
    assert {path.stem for path in (CONF / "agent").glob("*.yaml")} == set(ALL)


def test_an_agent_brings_those_it_hands_over_to(composed: Compose) -> None:
    """A host of intake can hand a call to support, so its snapshot has support's config too."""
    assert set(composed().variants) == {"intake", "support"}


@pytest.mark.parametrize(
    ("env", "deployment"),
    [("local", ""), ("dev", "dev-ann"), ("staging", "staging"), ("prod", "")],
)
def test_each_environment_has_its_deployment(composed: Compose, env: str, deployment: str) -> None:
    """Environments on one LiveKit project never take each other's calls."""
    assert composed(env=env).server.deployment == deployment


def test_the_environment_wins_over_the_agent(composed: Compose, conf: Path) -> None:
    """A plugin for one environment is one line in conf/env, whatever the agent's own file says."""
    (conf / "tts" / "elevenlabs.yaml").write_text("provider: elevenlabs\n")
    (conf / "tts" / "other.yaml").write_text("provider: other\n")
    agent = conf / "agent" / "intake.yaml"
    agent.write_text("# @package _global_\ndefaults: [{override /tts: other}]\nhandoffs: []\n")
    env = conf / "env" / "staging.yaml"
    env.write_text("# @package _global_\ndefaults: [{override /tts: elevenlabs}]\n")

    for name, provider in [("staging", "elevenlabs"), ("prod", "other")]:
        slot = resolve(composed(env=name, conf=conf), "intake").tts
        assert slot is not None
        assert slot.provider == provider


def test_an_override_wins_over_everything(composed: Compose) -> None:
    """SET changes a value, adds a keyword that no file sets, and swaps an option."""
    config = resolve(
        composed("llm.temperature=0.1", "server.max_jobs=3", "stt=deepgram_nova"), "intake"
    )

    assert config.llm is not None
    assert config.llm.keywords["temperature"] == 0.1
    assert config.stt is not None
    assert config.stt.class_name == "deepgram.STT"


@pytest.mark.parametrize(
    ("override", "text"),
    [
        pytest.param("stt=deepgran", r"did you mean deepgram_", id="unknown option"),
        pytest.param("session.turn_detectoin=vad", r"did you mean turn_detection\?", id="key"),
        pytest.param("server.port=high", r"server.port: .*valid integer, got 'high'", id="type"),
        pytest.param("session.turn_detection=ear", r"'stt', 'vad' or 'inference'", id="choice"),
        pytest.param("sesion.turn_detection=vad", r"did you mean session\?", id="root"),
        pytest.param("hydra.run.dir=x", r"not open to an override", id="hydra"),
        pytest.param("llm._target_=os.system", r"not open to an override", id="target"),
        pytest.param("env=prod", r"use ENV", id="env"),
        pytest.param("profile=patient", r"use METADATA=.*--profile patient", id="profile"),
        pytest.param("policy.allow={}", r"use conf/config.yaml", id="policy"),
        pytest.param("llm.temperature", r"write it like llm.temperature=0.1", id="no value"),
        pytest.param("stt=[deepgram_nova]", r"no conf/stt/", id="list of options"),
        pytest.param("+tts=cartesai", r"did you mean cartesia\?", id="plus"),
        pytest.param("tts.voice=???", r"SET tts.voice=\?\?\?: Missing", id="mandatory"),
        pytest.param("tts.voice=${oc.env:HOME}", r"not open to an override", id="variable"),
        pytest.param("=x", r"is no override", id="no key"),
        pytest.param("llm.temperature=[", r"needs quotes of its own", id="grammar"),
    ],
)
def test_a_wrong_override_is_explained(composed: Compose, override: str, text: str) -> None:
    """A typo names what is wrong and the nearest right name; Hydra's advice to add it is not passed on."""
    with pytest.raises(ConfigError, match=text) as caught:
        composed(override)

    assert "To append" not in str(caught.value)
    assert "+" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("env/prod.yaml", "defaults: [{override /tts: cartesai}]", r"^conf/env/prod.yaml:2: tts=cartesai: .*did you mean cartesia\?"),
        ("env/prod.yaml", "defaults: [{tts: cartesia}]", r"^conf/env/prod.yaml: .*'override /tts: cartesia'"),
        ("env/prod.yaml", "defaults: 3", r"defaults must be a list"),
        ("env/prod.yaml", "server: {port: 1, port: 2}", r"^conf/env/prod.yaml:2: server.port: given twice"),
        ("env/prod.yaml", "server: {port: [}", r"^conf/env/prod.yaml:2: not YAML"),
        ("env/prod.yaml", "server: 5", r"^conf/env/prod.yaml:2: server: .*got 5"),
        ("env/prod.yaml", "server:\n  prot: 1", r"^conf/env/prod.yaml:3: server.prot: no such key; did you mean port\?"),
        ("profile/patient.yaml", "session:\n  user_away_timeout: ${a.b}", r"^conf/profile/patient.yaml:3: Interpolation key 'a.b' not found"),
        ("agent/intake.yaml", "handoffs: [suport]", r"did you mean support\?"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_its_line(
    composed: Compose, conf: Path, file: str, text: str, said: str
) -> None:
    """What is wrong in conf is answered in one line, with its place and what would be right."""
    (conf / file).write_text(f"# @package _global_\n{text}\n")

    with pytest.raises(ConfigError, match=said) as caught:
        composed(env="prod", conf=conf)

    assert "\n" not in str(caught.value)
    assert str(conf) not in str(caught.value)


@pytest.mark.parametrize(("agents", "env"), [(("intak",), "local"), (("intake",), "prd")])
def test_an_unknown_name_gets_the_nearest(
    composed: Compose, agents: tuple[str, ...], env: str
) -> None:
    """A misspelt agent or environment is answered with the known ones."""
    with pytest.raises(ConfigError, match=r"did you mean (intake|prod)"):
        composed(agents=agents, env=env)


def test_the_stored_snapshot_is_the_composed_one(composed: Compose) -> None:
    """The second start reads what the first one wrote, and both are equal."""
    assert composed("server.max_jobs=7") == composed("server.max_jobs=7")


def test_the_digest_follows_conf_and_overrides(composed: Compose, conf: Path) -> None:
    """A changed file or override is another config; the same ones are the same."""
    before = composed(conf=conf).digest
    assert composed("server.max_jobs=9", conf=conf).digest != before
    (conf / "tts" / "cartesia.yaml").write_text("provider: cartesia\nspeed: 1.1\n")
    assert composed(conf=conf).digest != before


def test_a_snapshot_is_read_without_hydra_pydantic_or_yaml(store: Path) -> None:
    """A job reads its config with the standard library."""
    path = ensure_snapshot(("intake",), "local", (), store=store, developer="ann")[1]
    code = (
        "import sys, json, pathlib; from shared.config.snapshot import load_snapshot, resolve;"
        f"resolve(load_snapshot(pathlib.Path({str(path)!r})), 'intake');"
        "print(json.dumps([m for m in ('hydra', 'omegaconf', 'pydantic', 'yaml') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == []


def test_a_profile_changes_what_it_says(composed: Compose) -> None:
    """`patient` waits longer for the end of a turn; the other settings stay."""
    snapshot = composed()
    patient, plain = resolve(snapshot, "intake", profile="patient"), resolve(snapshot, "intake")

    assert patient.session.endpointing["min_delay"] > plain.session.endpointing["min_delay"]
    assert patient.tts == plain.tts
    assert patient.digest != plain.digest


def test_conf_holds_no_code_and_no_secret() -> None:
    """YAML names no target, reads no variable and has no key in it."""
    for path in CONF.rglob("*.yaml"):
        text = path.read_text().lower()
        for word in ("_target_", "oc.env", "api_key", "secret", "password"):
            assert word not in text, f"{path}: {word}"


def test_a_profile_changes_nothing_of_the_host(composed: Compose, conf: Path) -> None:
    """What a host has once comes from conf without a profile, however the profiles are named."""
    for name in ("aaa", "zzz"):
        (conf / "profile" / f"{name}.yaml").write_text(
            "# @package _global_\nserver: {max_jobs: 1}\npolicy: {allow: {tts.speed: null}}\n"
        )

    snapshot = composed(conf=conf)

    assert snapshot.server.max_jobs == 8
    assert "tts.speed" in snapshot.allow["intake"]


def test_a_language_chooses_its_profile_where_the_dispatch_names_none(composed: Compose) -> None:
    """A caller's locale decides by its language; a profile that was named wins."""
    snapshot = composed()

    assert resolve(snapshot, "intake", locale="es-MX").profile == "spanish"
    assert resolve(snapshot, "intake", locale="es", profile="patient").profile == "patient"
    assert resolve(snapshot, "intake", locale="pt-BR").profile == "none"


def test_a_language_of_a_profile_that_is_none_is_an_error(composed: Compose) -> None:
    """The misspelt profile is named when the snapshot is made, not when the first caller of that language comes."""
    with pytest.raises(ConfigError, match=r"spansh.*did you mean spanish"):
        composed("languages.es=spansh")
