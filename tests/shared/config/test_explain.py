"""Where each value of a config comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from shared import registry
from shared.config.compose import ensure_snapshot
from shared.config.explain import Value, as_conf, explain
from shared.config.model import Root
from shared.config.origins import Entry, entries
from shared.config.selection import CONF, Selection
from shared.config.snapshot import allowed, resolve
from tests.shared.config.conftest import Compose


def values(
    store: Path, selection: Selection, config: dict[str, object] | None = None
) -> dict[str, Value]:
    snapshot, _ = ensure_snapshot(
        (selection.agent,), selection.env, selection.overrides,
        store=store, developer=selection.developer, conf=selection.conf,
    )  # fmt: skip
    agent, profile = selection.agent, selection.profile
    call = resolve(snapshot, agent, profile=profile, overrides=config)
    chosen = allowed(snapshot, agent, profile, None, config)[1]
    return {value.key: value for value in explain(snapshot, call, chosen, selection)}


@pytest.mark.parametrize("env", ["local", "prod"])
def test_every_value_has_the_line_that_sets_it(store: Path, env: str) -> None:
    """Each origin is a line of a file that names the key, and the last one bears the value itself."""
    found = [
        value
        for agent in registry.names()
        for value in values(store, Selection(agent, env, "patient", developer="ann")).values()
    ]
    written = [(value, origin) for value in found for origin in value.origins if ":" in origin]
    for value, origin in written:
        entry = entry_at(origin, value.key)
        won = origin == value.origins[-1] and entry.value is not None and "$" not in entry.value
        assert not won or yaml.safe_load(entry.value or "''") == value.value
    assert len(written) > 100


def entry_at(origin: str, key: str) -> Entry:
    """What a file says of a key on the line that an origin names."""
    file, _, line = origin.rpartition(":")
    (found,) = (
        entry
        for entry in entries(CONF, CONF.parent / file)
        if entry.line == int(line) and key.endswith(entry.key[-1])
    )
    return found


def test_the_last_one_wins(store: Path, conf: Path) -> None:
    """Origins come in the order they are merged: file, agent, environment, profile, SET, dispatch."""
    (conf / "agent" / "intake.yaml").write_text(
        "# @package _global_\nhandoffs: []\nsession:\n  user_away_timeout: 20\n"
    )
    env = conf / "env" / "staging.yaml"
    env.write_text(env.read_text() + "session:\n  user_away_timeout: 25\n")
    profile = conf / "profile" / "patient.yaml"
    profile.write_text("# @package _global_\n\nsession: {user_away_timeout: 30}\n")
    override = "session.user_away_timeout=35"
    selection = Selection("intake", "staging", "patient", (override,), "ann", conf)

    value = values(store, selection, {"session.user_away_timeout": 40})["session.user_away_timeout"]

    line = next(
        n
        for n, text in enumerate((conf / "config.yaml").read_text().splitlines(), 1)
        if "user_away_timeout: 15" in text
    )
    assert value.value == 40
    assert value.origins == (
        f"conf/config.yaml:{line}",
        "conf/agent/intake.yaml:4",
        f"conf/env/staging.yaml:{len(env.read_text().splitlines())}",
        "conf/profile/patient.yaml:3",
        f"SET {override}",
        "dispatch",
    )


def test_another_option_brings_its_own_lines(store: Path, conf: Path) -> None:
    """Where an environment or SET chooses another option, its file is the origin."""
    (conf / "tts" / "other.yaml").write_text("# Another voice.\nprovider: openai\nvoice: ash\n")
    (conf / "env" / "staging.yaml").write_text(
        "# @package _global_\ndefaults: [{override /tts: other}]\n"
    )

    by_env = values(store, Selection("intake", "staging", developer="ann", conf=conf))
    by_set = values(store, Selection("intake", "prod", "none", ("tts=other",), "ann", conf))

    for found in (by_env, by_set):
        assert found["tts.voice"].origins == ("conf/tts/other.yaml:3",)
        assert found["tts.type"].origins == ("default of the code",)


def test_an_override_with_an_object_names_only_what_it_sets(store: Path) -> None:
    """The ports beside the one that SET gives keep their own line."""
    override = "server.stack={livekit: 7880}"
    found = values(store, Selection("intake", "local", "none", (override,), "ann"))

    assert found["server.stack.livekit"].value == 7880
    assert found["server.stack.livekit"].origins[-1] == f"SET {override}"
    assert found["server.stack.media"].origins[-1].startswith("conf/config.yaml:")


def test_a_resolved_config_is_one_that_conf_could_hold(composed: Compose) -> None:
    """What `make config` prints has conf's own shape: the model takes it."""
    snapshot = composed()
    whole = as_conf(snapshot, resolve(snapshot, "intake"))

    root = Root.model_validate({**whole, "developer": "ann"})
    assert root.policy.allow.keys() == snapshot.allow["intake"].keys()
