"""What counts of the process environment, per environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.environment import HostSettings, Settings
from shared.errors import ConfigError

KEYS = (
    "LIVEKIT_URL=wss://written.example\nLIVEKIT_API_KEY=k\nLIVEKIT_API_SECRET=s\nOPENAI_API_KEY=o\n"
)


def written(root: Path, text: str = KEYS) -> Path:
    (root / ".env").write_text(text)
    return root


def test_local_ignores_the_file_and_the_providers_keys(tmp_path: Path) -> None:
    """A local call cannot reach a provider or a project by accident."""
    settings = Settings.read({"DEEPGRAM_API_KEY": "d"}, root=written(tmp_path))

    assert settings.env == "local"
    assert settings.variables == {}
    assert not settings.has_livekit


def test_local_takes_an_exported_server_and_model(tmp_path: Path) -> None:
    """Only an address that was exported by hand counts, with its own keys."""
    environ = {
        "LIVEKIT_URL": "ws://127.0.0.1:1",
        "LIVEKIT_API_KEY": "a",
        "LIVEKIT_API_SECRET": "b",
        "OPENAI_BASE_URL": "http://127.0.0.1:2/v1",
        "OPENAI_API_KEY": "c",
        "CARTESIA_API_KEY": "d",
    }
    settings = Settings.read(environ, root=tmp_path)

    assert settings.has_livekit
    assert settings.variables == {k: v for k, v in environ.items() if k != "CARTESIA_API_KEY"}


def test_outside_of_local_exported_variables_win_over_the_file(tmp_path: Path) -> None:
    """`.env` fills in what is not exported."""
    settings = Settings.read({"OPENAI_API_KEY": "exported"}, env="dev", root=written(tmp_path))

    assert settings.variables["OPENAI_API_KEY"] == "exported"
    assert settings.variables["LIVEKIT_API_SECRET"] == "s"


def test_all_missing_variables_are_named_at_once(tmp_path: Path) -> None:
    """The error lists every variable of LiveKit and of the providers in use, and says what to do."""
    settings = Settings.read({}, env="prod", root=written(tmp_path, "LIVEKIT_URL=wss://x\n"))

    with pytest.raises(ConfigError, match=r"Copy .env.example to .env") as caught:
        settings.require(["deepgram", "openai"])

    for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "DEEPGRAM_API_KEY", "OPENAI_API_KEY"):
        assert name in str(caught.value)
    assert "LIVEKIT_URL" not in str(caught.value)


def test_overrides_are_split_like_a_shell_does() -> None:
    """A value in SET may hold blanks."""
    settings = Settings.read({"SWITCHBOARD_SET": "a.b=1 'c.d=two words'"})

    assert settings.overrides == ("a.b=1", "c.d=two words")


def test_an_open_quote_in_set_is_explained() -> None:
    """What cannot be split is a config error, not a traceback."""
    with pytest.raises(ConfigError, match="SET: No closing quotation"):
        Settings.read({"SWITCHBOARD_SET": "a.b='1"})


def test_a_host_gets_its_own_environment_and_nothing_that_renames_its_agents(
    tmp_path: Path,
) -> None:
    """What was exported for other programs cannot change where the host registers, or under which name."""
    environ = {
        "PATH": "p",
        "LIVEKIT_AGENT_NAME_OVERRIDE": "other",
        "LIVEKIT_AGENT_DEPLOYMENT": "other",
        "CARTESIA_API_KEY": "other",
        "OPENAI_BASE_URL": "http://other.example",
    }
    final = Settings.read({**environ, "SWITCHBOARD_VAR": str(tmp_path)}).for_host(
        livekit={"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_SECRET": "s"},
        keys={"DEEPGRAM_API_KEY": "k"},
        deployment="",
        snapshot=tmp_path / "s.json",
        endpoints={"openai.LLM": "http://127.0.0.1:2/v1"},
        turn_detector=False,
        holds=None,
    )

    assert final["PATH"] == "p"
    assert final["LIVEKIT_AGENT_DEPLOYMENT"] == ""
    assert final["DEEPGRAM_API_KEY"] == "k"
    assert not {"LIVEKIT_AGENT_NAME_OVERRIDE", "CARTESIA_API_KEY", "OPENAI_BASE_URL"} & set(final)
    read = HostSettings.read(final)
    assert read.endpoints == {"openai.LLM": "http://127.0.0.1:2/v1"}
    assert read.snapshot == tmp_path / "s.json"
    assert read.records_url == f"sqlite:///{tmp_path}/records/records.db"


@pytest.mark.parametrize(("env", "counts"), [("dev", True), ("local", False)])
def test_records_go_where_the_environment_says(tmp_path: Path, env: str, counts: bool) -> None:
    """What is exported always counts, `.env` outside of local; else they stay under var."""
    url = "postgresql://me:secret@db.example/records"
    root = written(tmp_path, f"SWITCHBOARD_RECORDS_URL={url}\n")

    assert (Settings.read({}, env=env, root=root).records_url == url) is counts
    assert Settings.read({"SWITCHBOARD_RECORDS_URL": url}, env=env).records_url == url


@pytest.mark.parametrize(("env", "arrives"), [("dev", True), ("local", False)])
def test_the_variables_of_any_plugin_reach_the_host(
    tmp_path: Path, env: str, arrives: bool
) -> None:
    """A plugin that nobody has listed finds its key, which stands in `.env`; in local nothing of the file counts."""
    settings = Settings.read({}, env=env, root=written(tmp_path, "NEW_PLUGIN_KEY=n\n"))
    final = settings.for_host(
        livekit={}, keys={}, deployment="", snapshot=tmp_path, endpoints={},
        turn_detector=False, holds=None,
    )  # fmt: skip

    assert ("NEW_PLUGIN_KEY" in final) is arrives
