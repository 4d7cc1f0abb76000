"""What a dispatch may set of the config, and every known way to ask for more."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import providers
from shared.config.policy import Rule
from shared.config.selection import CONF
from shared.config.snapshot import CallConfig, Snapshot, resolve
from shared.errors import ConfigError, PolicyError
from tests.shared.config.conftest import Compose


@pytest.fixture(scope="session")
def snapshot(composed: Compose) -> Snapshot:
    return composed()


@pytest.fixture(scope="session")
def wide(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A snapshot with a rule of each type."""
    conf = Path(shutil.copytree(CONF, tmp_path_factory.mktemp("wide") / "conf"))
    allow(
        conf,
        """
    tts.voice: {type: str, pattern: "[0-9a-f-]{36}"}
    tts.word_timestamps: {type: bool}
    stt.eot_timeout_ms: {type: int, min: 500, max: 10000}
""",
    )
    return composed(conf=conf)


def allow(conf: Path, rules: str, file: str = "env/local.yaml") -> None:
    """Put rules into a file of conf."""
    path = conf / file
    path.write_text(path.read_text() + "policy:\n  allow:\n    " + rules.strip() + "\n")


def ask(snapshot: Snapshot, config: object, profile: str | None = None) -> CallConfig:
    return resolve(snapshot, "intake", profile=profile, overrides=config)


def refusal(snapshot: Snapshot, config: object, profile: str | None = None) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        ask(snapshot, config, profile)
    return caught.value


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"tts.speed": 1.2, "session.endpointing.max_delay": 2}, id="dots"),
        pytest.param({"tts": {"speed": 1.2}, "session": {"endpointing": {"max_delay": 2}}}, id="objects"),
        pytest.param({"tts": {"speed": 1.2}, "session": {"endpointing.max_delay": 2}}, id="both"),
    ],
)  # fmt: skip
def test_an_open_key_reaches_the_config(snapshot: Snapshot, config: dict[str, Any]) -> None:
    """A dispatch sets what policy opens, in dots or as objects; all else stays, and the digest is another one."""
    before, after = ask(snapshot, {}), ask(snapshot, config)

    assert before.tts
    assert after.tts
    assert dict(after.tts.keywords) == {**before.tts.keywords, "speed": 1.2}
    assert dict(after.session.endpointing) == {**before.session.endpointing, "max_delay": 2}
    assert (after.stt, after.llm, after.vad) == (before.stt, before.llm, before.vad)
    assert after.digest != before.digest
    assert (
        after.digest == ask(snapshot, {"session.endpointing.max_delay": 2, "tts.speed": 1.2}).digest
    )
    assert ask(snapshot, {}) is before


def test_a_profile_and_keys_go_together(snapshot: Snapshot) -> None:
    """A key of the dispatch wins over the profile it names."""
    config = ask(snapshot, {"session.endpointing.max_delay": 4}, profile="patient")

    assert config.profile == "patient"
    assert config.session.endpointing == {"mode": "fixed", "min_delay": 0.6, "max_delay": 4}


@pytest.mark.parametrize(
    "config",
    [
        {"tts.voice": "9626c31c-bec5-4cca-baa8-f8ba9e84c8bc"},
        {"tts.word_timestamps": False},
        {"stt.eot_timeout_ms": 500},
        {"tts.language": "es"},
        {"llm.temperature": 0},
        {},
        {"tts": {}},
    ],
    ids=str,
)
def test_what_a_rule_bounds_is_taken(wide: Snapshot, config: dict[str, Any]) -> None:
    """Each type of rule lets its values through, its bounds included."""
    ask(wide, config)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        pytest.param({"tts.speed": 1.6}, "a number from 0.6 to 1.5", id="too large"),
        pytest.param({"tts.speed": "1.2"}, "a number from", id="a text for a number"),
        pytest.param({"tts.speed": True}, "a number from", id="true for a number"),
        pytest.param({"tts.speed": float("nan")}, "a number from", id="nan"),
        pytest.param({"tts.speed": float("inf")}, "a number from", id="infinite"),
        pytest.param({"tts.speed": 10**4000}, "a number from", id="4000 digits"),
        pytest.param({"tts.speed": None}, "a number from", id="null"),
        pytest.param({"tts.speed": [1.2]}, "a number from", id="list"),
        pytest.param({"tts.speed": {"a": 1}}, "a number from", id="object"),
        pytest.param({"stt.eot_timeout_ms": 600.0}, "a whole number from 500 to 10000", id="float"),
        pytest.param({"tts.language": "fr"}, "one of en, es", id="choice"),
        pytest.param({"tts.language": ["en"]}, "one of en, es", id="list for a choice"),
        pytest.param({"tts.voice": "nobody"}, "a text that matches", id="pattern"),
        pytest.param({"tts.voice": "0" * 36 + "\n"}, "a text that matches", id="line break"),
        pytest.param({"tts.word_timestamps": 1}, "true or false", id="1 for true"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_rule_is_refused(
    wide: Snapshot, config: dict[str, Any], wanted: str
) -> None:
    """A wrong value is answered with what would be right, and never quoted."""
    error = refusal(wide, config)
    key, value = next(iter(config.items()))

    assert [p.pointer for p in error.problems] == [f"/config/{key}"]
    assert error.problems[0].code == "policy.value"
    assert error.problems[0].text.startswith(f"not {wanted}")
    if isinstance(value, str) and len(value) > 2:
        assert value.strip() not in str(error)


@pytest.mark.parametrize(
    ("text", "fits"),
    [("x" * 200, True), ("x" * 201, False), ("a\x1b[31m", False), ("a\u200bb", False), ("a\ud800", False)],
    ids=["long", "too long", "terminal codes", "zero-width", "half a character"],
)  # fmt: skip
def test_a_generous_pattern_lets_no_hidden_characters_through(text: str, fits: bool) -> None:
    """Whatever the pattern says, a text is short and can be seen whole."""
    assert Rule("str", pattern=".*").fits(text) is fits


def test_keys_are_counted_before_they_are_judged(snapshot: Snapshot) -> None:
    """Of thousands of keys a few are named, and how many there are."""
    problems = refusal(snapshot, {f"tts.k{n}": n for n in range(5000)}).problems

    assert [p.text for p in problems if p.code == "policy.limit"] == ["5000 keys, at most 16"]
    assert len(problems) == 17


ATTACKS: list[tuple[str, Any]] = [
    ("run code by _target_", {"stt._target_": "os.system"}),
    ("run code by _target_, nested", {"stt": {"_target_": "os.system", "_args_": ["id"]}}),
    ("run code by an alias", {"llm._target_": "livekit.plugins.openai.llm.os.system"}),
    ("add a node with code", {"+x._target_": "pathlib.Path.read_text"}),
    ("read a file by _target_", {"+x": {"_target_": "builtins.open", "file": "/etc/hostname"}}),
    ("interpolate a secret into a key that is open", {"tts.language": "${oc.env:OPENAI_API_KEY}"}),
    ("interpolate another value", {"tts.voice": "${llm.api_key}"}),
    ("interpolate a whole node", {"tts.language": "${oc.dict.values:llm}"}),
    ("call a resolver", {"tts.language": "${eval:__import__('os').system('id')}"}),
    ("interpolate into a number", {"tts.speed": "${oc.decode:1.2}"}),
    ("load other files", {"hydra.searchpath": ["/tmp"]}),
    ("import a module", {"hydra.searchpath": ["pkg://antigravity"]}),
    ("structured import", {"hydra.searchpath": ["structured://antigravity"]}),
    ("climb out of conf", {"stt": "../../poc/out"}),
    ("choose another option", {"stt": "deepgram_nova"}),
    ("copy the environment", {"hydra.job.env_copy": ["OPENAI_API_KEY"]}),
    ("another launcher", {"hydra/launcher": "nope"}),
    ("another launcher by target", {"hydra.launcher._target_": "os.system"}),
    ("put an option elsewhere", {"+llm@stt": "openai"}),
    ("spray an option over the root", {"+tts@_global_": "cartesia"}),
    ("rewrite the policy", {"++policy.allow": {"llm.base_url": {"type": "str", "pattern": ".*"}}}),
    ("rewrite the policy, nested", {"policy": {"allow": {"llm.base_url": {"type": "str"}}}}),
    ("change the environment", {"env": "local"}),
    ("change the profile by config", {"profile": "patient"}),
    ("change the agent", {"agent": "support"}),
    ("send the model's words elsewhere", {"llm.base_url": "http://attacker.example"}),
    ("the same with Hydra's plus", {"+llm.base_url": "http://attacker.example"}),
    ("the same, nested", {"llm": {"base_url": "http://attacker.example"}}),
    ("the same by endpoints", {"endpoints": {"openai.LLM": "http://attacker.example"}}),
    ("the same by dotted endpoints", {"endpoints.openai.LLM": "http://attacker.example"}),
    ("another key", {"llm.api_key": "sk-attacker"}),
    ("headers", {"llm.extra_headers": {"x": "y"}}),
    ("another plugin", {"tts.provider": "evil"}),
    ("another class", {"tts.type": "os"}),
    ("the host's own settings", {"server.max_jobs": 0}),
    ("handoffs", {"handoffs": ["admin"]}),
    ("Cyrillic letters", {"tts.sреed": 1.2}),
    ("a zero-width space", {"tts.speed\u200b": 1.2}),
    ("full-width digits", {"tts.speed": "\uff11.\uff12"}),
    ("a log line of one's own", {"tts.language": "en\n\x1b[31mFAKE LOG LINE"}),
    ("terminal codes in a key", {"tts.\x1b[31mspeed": 1.2}),
    ("an object for a number", {"llm.temperature": {"a": 1}}),
    ("a long list", {"llm.temperature": list(range(16_000))}),
    ("interpolation that doubles", {f"a{n}": f"${{a{n - 1}}}${{a{n - 1}}}" for n in range(1, 15)}),
    ("a long key", {".".join("a" * 500): 1}),
    ("a key of dots", {"." * 500: 1}),
    ("an empty key", {"": 1}),
    ("prototype", {"__proto__": {"speed": 1}}),
    ("attributes of the object", {"tts.keywords": {"base_url": "x"}}),
    ("attributes of the session", {"session.__class__": "x"}),
    ("a whole section", {"session.endpointing": {"mode": "dynamic"}}),
    ("a whole slot", {"tts": {"speed": 1.2, "base_url": "http://attacker.example"}}),
    ("the same key in two forms", {"tts.speed": 1.2, "tts": {"speed": 1.3}}),
    ("too many keys", {f"tts.k{n}": n for n in range(5000)}),
    ("a list for an object", ["tts.speed=1.2"]),
    ("a string in Hydra's grammar", "tts.speed=1.2"),
]


@pytest.mark.parametrize(("name", "config"), ATTACKS, ids=[name for name, _ in ATTACKS])
def test_an_attack_is_refused(wide: Snapshot, name: str, config: Any) -> None:
    """Nothing of it reaches the config, quickly, and the error repeats neither value nor a hostile key."""
    error = refusal(wide, config)

    assert len(str(error)) < 5000
    assert str(error).isprintable()
    for word in ("attacker", "antigravity", "FAKE", "OPENAI_API_KEY", "os.system"):
        assert word not in str(error)


def test_an_attack_by_the_profile_is_refused(wide: Snapshot) -> None:
    """A profile is one of the composed ones, not a path or an override."""
    for name in ("../../poc/out", "none,patient", "patient tts=evil", "${oc.env:HOME}", ""):
        if name:
            assert refusal(wide, {}, name).problems[0].code == "policy.profile"


def test_deep_nesting_is_refused_without_recursion(wide: Snapshot) -> None:
    """Depth costs nothing: only an object on the way to an open key is looked into."""
    config: dict[str, Any] = {}
    for _ in range(100_000):
        config = {"tts": config}

    assert refusal(wide, {"tts": {"speed": config}}).problems[0].pointer == "/config/tts/speed"
    while config:  # freeing it in one go would recurse
        config = config.popitem()[1]


def test_everything_wrong_is_said_at_once(snapshot: Snapshot) -> None:
    """One error has the profile and each key, with pointers as they were written and the nearest name."""
    error = refusal(
        snapshot, {"tts": {"sped": 1}, "llm.temperature": 7, "weather": "sun"}, "patiend"
    )

    assert [(p.pointer, p.code) for p in error.problems] == [
        ("/profile", "policy.profile"),
        ("/config/tts/sped", "policy.closed"),
        ("/config/llm.temperature", "policy.value"),
        ("/config/weather", "policy.closed"),
    ]
    assert "did you mean patient?" in str(error)
    assert "did you mean tts.speed?" in str(error)
    assert "open are: tts.speed, tts.language, llm.temperature" in str(error)
    assert error.exit_code == 4


keys = st.sampled_from(
    ["tts", "tts.speed", "speed", "tts.voice", "session", "endpointing", "max_delay", "llm"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | keys, inner),
    max_leaves=12,
)
near_misses = st.dictionaries(keys, json_values | st.dictionaries(keys, json_values))


@given(config=json_values | near_misses)
def test_any_json_is_a_config_or_a_policy_error(wide: Snapshot, config: Any) -> None:
    """Whatever a dispatch says: a config with nothing but allowed values, or one error."""
    try:
        made = ask(wide, config)
    except PolicyError:
        return
    assert made.tts
    assert set(made.tts.keywords) <= {"model", "voice", "speed", "language", "word_timestamps"}
    assert 0.6 <= made.tts.keywords.get("speed", 1) <= 1.5
    assert 0 < made.session.endpointing["max_delay"] <= 10
    json.dumps(made.tts.keywords, allow_nan=False)


def test_a_rule_may_hold_for_one_class_only(composed: Compose, conf: Path) -> None:
    """With another voice in the slot its key is closed, and the error says why."""
    (conf / "tts" / "openai.yaml").write_text("provider: openai\n")
    snapshot = composed("tts=openai", conf=conf)

    text = str(refusal(snapshot, {"tts.speed": 1.2}))
    assert "not open here, tts is openai.TTS" in text
    assert "tts.speed" not in str(refusal(snapshot, {"weather": 1}))


def test_an_agent_adds_rules_and_an_environment_takes_them_away(
    composed: Compose, conf: Path
) -> None:
    """Rules of conf/agent hold for that agent's dispatches alone; null closes a key again."""
    allow(conf, "tts.volume: {type: float, min: 0.5, max: 2}", "agent/support.yaml")
    allow(conf, "tts.language: null")
    snapshot = composed(conf=conf, agents=("intake", "support"))

    assert "tts.volume" in snapshot.allow["support"]
    assert "tts.volume" not in snapshot.allow["intake"]
    assert "tts.language" not in snapshot.allow["support"]


SHAPE = [
    ("tts.a: {type: float, min: 2, max: 1}", "min must be below max"),
    ("tts.b: {type: float, min: 1}", "max: missing, required"),
    ("tts.c: {type: float, min: low, max: 1}", "valid number, got 'low'"),
    ("tts.d: {type: number, min: 0, max: 1}", "write type: str, int, float or bool"),
    ("tts.e: {min: 0, max: 1}", "write type: str, int, float or bool"),
    ("tts.f: {type: str}", "give choices or a pattern"),
    ("tts.g: {type: str, choices: [a], pattern: b}", "give choices or a pattern"),
    ("tts.h: {type: str, pattern: '['}", "no pattern"),
    ("tts.i: {type: str, choices: [no]}", "valid string, got False"),
    ("tts.j: {type: float, min: 1, max: 2, steps: 3}", "steps: no such key"),
    ("tts.k: {type: int, min: 1, max: 2.5}", "whole numbers"),
    ("tts.l: {type: float, min: 1, max: .inf}", "finite number"),
    ("tts.m: 1", "valid dict"),
]  # fmt: skip
MEANING = [
    ("tts.base_url: {type: str, pattern: .*}", "never open to a dispatch"),
    ("llm.api_key: {type: str, pattern: .*}", "never open to a dispatch"),
    ("llm.extra_headers: {type: str, pattern: .*}", "never open to a dispatch"),
    ("llm.http_proxy: {type: str, pattern: .*}", "never open to a dispatch"),
    ("tts.provider: {type: str, choices: [a]}", "never open to a dispatch"),
    ("stt.type: {type: str, choices: [a]}", "never open to a dispatch"),
    ("stt._target_: {type: str, choices: [a]}", "never open to a dispatch"),
    ("server.max_jobs: {type: int, min: 1, max: 2}", "stt, tts, llm, vad and session only"),
    ("env: {type: str, choices: [local]}", "stt, tts, llm, vad and session only"),
    ("policy.on_misfit: {type: str, choices: [degrade]}", "and session only"),
    ("endpoints.openai.LLM: {type: str, pattern: .*}", "and session only"),
    ("session.turn_detection: {type: str, choices: [vad]}", "belongs to the recogniser"),
    ("session: {type: bool}", "no single value"),
    ("tts: {type: bool}", "name one keyword"),
    ("tts.voice.id: {type: bool}", "name one keyword, like tts.voice"),
    ("session.endpointing.max_dely: {type: int, min: 1, max: 2}", r"did you mean endpointing.max_delay\?"),
    ("session.endpointing: {type: int, min: 1, max: 2}", "no such key"),
    ("session.endpointing.min_delay: {type: float, min: 1, max: 60}", "lets 60.0 through, but .* less than or equal to 10"),
    ("session.interruption.min_words: {type: bool}", "lets True through, but .* valid integer"),
    ("tts.volume: {type: float, min: 1, max: 1.2, only: cartesia.TSS}", r"did you mean cartesia.TTS\?"),
]  # fmt: skip


@pytest.mark.parametrize("rules", [SHAPE, MEANING], ids=["shape", "meaning"])
def test_wrong_rules_stop_the_snapshot(
    composed: Compose, conf: Path, rules: list[tuple[str, str]]
) -> None:
    """Rules that open what never may be, or make no sense, are refused at once, each with file and line."""
    allow(conf, "\n    ".join(rule for rule, _ in rules))
    first = (conf / "env" / "local.yaml").read_text().split("\n").index("  allow:") + 2

    with pytest.raises(ConfigError) as caught:
        composed(conf=conf)

    said = re.split(r"; (?=conf/)", str(caught.value))
    for line, (rule, text) in enumerate(rules, first):
        key = re.escape(rule.split(": ")[0])
        pattern = rf"conf/env/local.yaml:{line}: policy.allow[.:] ?{key}\b.*{text}"
        assert any(re.match(pattern, one) for one in said), (rule, said)


def test_rules_that_no_plugin_takes_stop_the_host(composed: Compose, conf: Path) -> None:
    """A slot's rule is held against the constructor it is open for."""
    allow(
        conf,
        """
    tts.volum: {type: float, min: 1, max: 2}
    tts.volume: {type: str, pattern: .*}
    tts.encoding: {type: str, choices: [pcm_s16le, mp3]}
    stt.eot_timeout_ms: {type: float, min: 1000, max: 2000}
""",
    )

    with pytest.raises(ConfigError) as caught:
        providers.check(composed(conf=conf))

    for text in (
        "tts.volum: cartesia.TTS has no such keyword; did you mean volume?",
        "tts.volume: lets 'text' through, but",
        "tts.encoding: lets 'mp3' through, but",
        "stt.eot_timeout_ms: lets 1000.0 through, but",
    ):
        assert f"policy.allow: {text}" in str(caught.value)


def test_the_rules_as_shipped_fit_their_plugins(snapshot: Snapshot) -> None:
    """What conf opens is a keyword of the plugins it chooses."""
    providers.check(snapshot)
