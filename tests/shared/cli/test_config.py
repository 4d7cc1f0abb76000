"""`config`, `explain` and `check-config` as somebody reads them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared import registry
from shared.cli import config as config_verb
from shared.cli import explain as explain_verb
from shared.cli.check_config import check_config
from shared.config.check import check
from shared.config.environment import Settings
from shared.config.selection import CONF
from shared.errors import ConfigError, MetadataError, PolicyError, SwitchboardError

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("var")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of conf/ that a test may change."""
    return Path(shutil.copytree(CONF, tmp_path / "conf"))


def settings(var: Path, env: str = "local", overrides: str = "") -> Settings:
    environ = {"SWITCHBOARD_VAR": str(var), "SWITCHBOARD_SET": overrides, "USER": "ann"}
    return Settings.read(environ, env=env, root=var)


def explained(
    var: Path, capsys: Captured, metadata: object, env: str = "local", agent: str = "intake"
) -> tuple[dict[str, Any], SwitchboardError | None]:
    """The object that `explain --json` prints, and the error it ends with."""
    raw = metadata if isinstance(metadata, str) else json.dumps(metadata)
    error = None
    try:
        explain_verb.explain(settings(var, env), agent, raw, as_json=True)
    except SwitchboardError as err:
        error = err
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said, error


@pytest.mark.parametrize("env", ["local", "dev", "staging", "prod"])
def test_config_prints_what_conf_says(var: Path, capsys: Captured, env: str) -> None:
    """YAML and JSON hold the same, with SET on top."""
    here = settings(var, env, "llm.temperature=0.1")
    config_verb.config(here, "intake", "patient", as_json=False)
    text = capsys.readouterr().out
    config_verb.config(here, "intake", "patient", as_json=True)
    whole = json.loads(capsys.readouterr().out)

    assert yaml.safe_load(text) == whole
    assert text.startswith(f"# intake in {env}, profile patient, digest ")
    assert whole["llm"]["temperature"] == 0.1
    assert whole["session"]["endpointing"]["max_delay"] == 6
    assert whole["handoffs"] == ["support"]


@pytest.mark.parametrize(
    ("agent", "profile", "env", "overrides", "said"),
    [
        ("", "none", "local", "", f"config of whom? agents: {', '.join(registry.names())}. Try: make config AGENT={registry.names()[0]}"),
        ("intak", "none", "local", "", "no agent named 'intak'"),
        ("intake,support", "none", "local", "", "one agent at a time, not 'intake,support'"),
        ("intake", "patiend", "local", "", "did you mean patient?"),
        ("intake", "none", "stagin", "", "did you mean staging?"),
        ("intake", "none", "local", "sst=deepgram_nova", "SET sst=deepgram_nova: sst: no such key; did you mean stt?"),
        ("intake", "none", "local", "stt=deepgram_nov", "did you mean deepgram_nova?"),
        ("intake", "none", "local", "+tts.voise=x", "SET +tts.voise=x: tts.voise: cartesia.TTS has no such keyword; did you mean voice?"),
        ("intake", "none", "local", "tts.volume=loud", "SET tts.volume=loud: tts.volume: input should be a valid number"),
        ("intake", "none", "local", "server.prot=1", "server.prot: no such key; did you mean port?"),
        ("intake", "none", "local", "tts@_global_=cartesia", "cannot be read"),
        ("intake", "none", "local", "llm.model=a,b", "needs quotes of its own"),
        ("intake", "none", "local", "~llm.temprature", "temprature"),
    ],
)  # fmt: skip
def test_a_typo_is_answered(
    var: Path, agent: str, profile: str, env: str, overrides: str, said: str
) -> None:
    """What is misspelt is named with where it stands and the nearest right name; Hydra's way to add it is not."""
    with pytest.raises(ConfigError) as caught:
        config_verb.config(settings(var, env, overrides), agent, profile, as_json=False)

    assert said in str(caught.value)
    assert "To append" not in str(caught.value)
    assert "use +" not in str(caught.value)


def test_explain_says_what_a_dispatch_changes(var: Path, capsys: Captured) -> None:
    """A dispatch that would be taken: the keys it sets, the fields it brings, and what is not set."""
    said, error = explained(
        var, capsys,
        {"user_id": "77777", "locale": "en-us", "profile": "patient", "config": {"tts": {"speed": 1.2}}},
    )  # fmt: skip

    assert error is None
    assert said["taken"]
    assert said["profile"] == "patient"
    config = {one["key"]: one for one in said["config"]}
    assert config["tts.speed"] == {"key": "tts.speed", "value": 1.2, "origins": ["dispatch"]}
    assert config["session.endpointing.max_delay"]["origins"][-1].startswith(
        "conf/profile/patient.yaml:"
    )
    fields = {one["field"]: one for one in said["metadata"]}
    assert fields["locale"] == {"field": "locale", "source": "job metadata", "value": "en-US"}
    assert fields["user_id"]["source"] == "job metadata"
    assert fields["user_name"]["source"] == "not set, the caller may bring it"
    assert "77777" not in json.dumps(said)


def test_explain_says_everything_that_is_refused(var: Path, capsys: Captured) -> None:
    """Metadata and policy are judged both, and the config is shown as it would be without the dispatch."""
    said, error = explained(
        var, capsys,
        {"usr_id": "1", "user_phone": "hush", "profile": "patiend", "config": {"tts.speed": 7}},
    )  # fmt: skip

    assert isinstance(error, MetadataError)
    assert not said["taken"]
    assert {one["pointer"]: one["code"] for one in said["refused"]} == {
        "/user_id": "metadata.missing",
        "/usr_id": "metadata.unknown",
        "/user_phone": "metadata.phone",
        "/profile": "policy.profile",
        "/config/tts.speed": "policy.value",
    }
    assert "hush" not in json.dumps(said)
    assert "tts.speed" not in {one["key"] for one in said["config"]}


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ('{"user_id":"1"}', None),
        ('{"user_id":"1","config":{"tts.base_url":"x"}}', PolicyError),
        ('{"user_id":"1","profile":["patient"]}', MetadataError),
        ('{"user_id":"1","config":[]}', MetadataError),
        ("{", MetadataError),
        ("[]", MetadataError),
    ],
)
def test_explain_is_right_about_a_dispatch(
    var: Path, capsys: Captured, metadata: str, error: type[SwitchboardError] | None
) -> None:
    """It ends without an error only where the dispatch would be taken."""
    said, raised = explained(var, capsys, metadata)

    assert said["taken"] is (error is None)
    assert (type(raised) if raised else None) is error


def test_explain_reads_a_file(var: Path, capsys: Captured, tmp_path: Path) -> None:
    """`@dispatch.json` is the file's content; a file that is not there is named."""
    file = tmp_path / "dispatch.json"
    file.write_text('{"user_id":"1","profile":"patient"}')
    assert explained(var, capsys, f"@{file}")[0]["profile"] == "patient"

    with pytest.raises(ConfigError, match=r"cannot read the file 'none\.json'"):
        explain_verb.explain(settings(var), "intake", "@none.json", as_json=False)


def test_explain_is_read_by_people(var: Path, capsys: Captured) -> None:
    """Without --json: fields, values with their lines, and a last line that says what becomes of it."""
    explain_verb.explain(
        settings(var, overrides="llm.temperature=0.3"), "intake", None, as_json=False
    )
    text = capsys.readouterr().out

    assert "user_id " in text
    assert "SET llm.temperature=0.3" in text
    assert text.endswith("The dispatch would be taken.\n")

    with pytest.raises(PolicyError):
        explain_verb.explain(
            settings(var), "intake", '{"user_id":"1","config":{"tts.sped":1}}', as_json=False
        )
    assert "/config/tts.sped  policy.closed  not open to a dispatch; did you mean tts.speed?" in (
        capsys.readouterr().out
    )


def test_the_exit_code_is_that_of_the_refusal(tmp_path: Path) -> None:
    """The command itself: a report on stdout, one line on stderr, and policy's exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "shared.cli.main", "explain", "--json"],
        env={
            "HOME": str(tmp_path),
            "SWITCHBOARD_VAR": str(tmp_path),
            "SWITCHBOARD_AGENT": "intake",
            "SWITCHBOARD_METADATA": '{"user_id":"1","config":{"llm.base_url":"http://x"}}',
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 4
    assert json.loads(done.stdout)["taken"] is False
    assert len(done.stderr.splitlines()) == 1
    assert "/config/llm.base_url: not open to a dispatch" in done.stderr


def test_check_config_finds_what_only_one_config_has(conf: Path) -> None:
    """Findings come all at once, each once, with file and line: an option's typo, a missing plugin, an environment's value."""
    (conf / "tts" / "cartesia.yaml").write_text("provider: cartesia\nvoice: x\nmodle: sonic-3\n")
    (conf / "vad" / "other.yaml").write_text("provider: silerro\n")
    env = conf / "env" / "prod.yaml"
    env.write_text("# @package _global_\nserver:\n  max_jobs: none\n  deploiment: x\n")
    (conf / "config.yaml").write_text(
        (conf / "config.yaml").read_text().replace("languages: {es: spanish}", "languages: {}")
    )
    kept = {"env/staging", "env/prod", "profile/none", "agent/support", "agent/intake"}
    kept |= {"stt/deepgram_flux", "stt/deepgram_nova", "tts/cartesia", "llm/openai"}
    kept |= {"vad/inference", "vad/other"}
    for path in conf.glob("*/*.yaml"):
        if f"{path.parent.name}/{path.stem}" not in kept:
            path.unlink()

    report = check(conf, ["support"])

    assert report.configs == 14
    texts = {finding.place: finding.text for finding in report.findings}
    assert len(texts) == len(report.findings) == 4
    assert texts["conf/tts/cartesia.yaml:3"] == (
        "tts.modle: cartesia.TTS has no such keyword; did you mean model?"
    )
    assert "pip install livekit-plugins-silerro" in texts["conf/vad/other.yaml:1"]
    assert "valid integer, got 'none'" in texts["conf/env/prod.yaml:3"]
    assert "did you mean deployment?" in texts["conf/env/prod.yaml:4"]


def test_a_finding_is_a_failure(conf: Path, capsys: Captured) -> None:
    """Each is a line, and the command ends with the exit code of conf."""
    (conf / "profile" / "patient.yaml").write_text("session: {user_away_timeout: 9}\n")

    with pytest.raises(ConfigError, match="conf: 1 to put right") as caught:
        check_config(files_only=True, as_json=False, conf=conf)

    assert caught.value.exit_code == 2
    assert capsys.readouterr().out.startswith("conf/profile/patient.yaml:1: the first line must be")


def test_check_config_of_conf_as_shipped(capsys: Captured) -> None:
    """Every agent in every environment with every profile, and each option alone: nothing to put right."""
    check_config(files_only=False, as_json=True)

    said = json.loads(capsys.readouterr().out)
    assert said["findings"] == []
    assert said["configs"] >= 40 * len(registry.names())
