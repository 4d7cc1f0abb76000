"""`doctor` on the real LiveKit server and the real stand-ins: what is right, and each thing that can be wrong."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from livekit import api, rtc

from shared.cli.doctor import Finding, doctor, examine, network, versions
from shared.cli.probes import TONE, try_sound
from shared.cli.server import Server
from shared.config.environment import Settings
from shared.dispatch.identity import HOST
from shared.errors import ConfigError, ProviderError, StackError
from shared.local.stack import HeldStack, Ports, hold


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture(scope="module")
def running(var: Path) -> Iterator[HeldStack]:
    held = hold(var / "run", ports=Ports(), progress=lambda line: None)
    yield held
    held.close()


def settings(var: Path, env: str = "local", **environ: str) -> Settings:
    return Settings.read({"SWITCHBOARD_VAR": str(var), "USER": "ann", **environ}, env=env, root=var)


def as_dev(var: Path, running: HeldStack, **changed: str) -> Settings:
    """An environment with keys of its own, in which the stand-ins are the providers."""
    stack = running.stack
    url = stack.providers_url
    addresses = {
        "deepgram.STTv2": f"{url}/v2/listen",
        "cartesia.TTS": url,
        "openai.LLM": f"{url}/v1",
    }
    keys = dict.fromkeys(
        ("DEEPGRAM_API_KEY", "CARTESIA_API_KEY", "OPENAI_API_KEY"), stack.providers_key
    )
    environ = {
        "LIVEKIT_URL": stack.livekit_url,
        "LIVEKIT_API_KEY": stack.livekit_api_key,
        "LIVEKIT_API_SECRET": stack.livekit_api_secret,
        "SWITCHBOARD_SET": "'endpoints={"
        + ",".join(f'{name}: "{where}"' for name, where in addresses.items())
        + "}'",
        **keys,
        **changed,
    }
    return settings(var, "dev", **{name: value for name, value in environ.items() if value})


async def found(settings: Settings, level: str = "wrong") -> list[Finding]:
    return [finding async for finding in examine(settings) if finding.level == level]


async def test_a_running_stack_is_all_right(var: Path, running: HeldStack) -> None:
    """Server, key, sound and the three stand-ins are tried and found right."""
    right = await found(settings(var), "ok")

    assert [f.code for f in right] == [
        "network", "versions", "config", "variables", "records", "livekit", "sound",
        "provider", "provider", "provider",
    ]  # fmt: skip
    assert await found(settings(var), "wrong") == []


async def test_records_that_cannot_be_kept_are_said(tmp_path: Path) -> None:
    """A database that does not answer is found, without the password in its URL."""
    own = settings(tmp_path, SWITCHBOARD_RECORDS_URL="postgresql://me:hunter2@127.0.0.1:1/records")
    (wrong,) = [finding async for finding in examine(own) if finding.code == "records.unreachable"]

    assert wrong.level == "wrong"
    assert "hunter2" not in wrong.text


def test_real_keys_are_tried_at_the_endpoints(
    var: Path, running: HeldStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside of local the same is asked of the services that conf names, and it is read by people."""
    doctor(as_dev(var, running), as_json=False)

    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    assert f"ok     provider: openai.LLM: {running.stack.providers_url}/v1 takes the key" in lines


@pytest.mark.parametrize(
    ("changed", "error", "code", "text"),
    [
        ({"DEEPGRAM_API_KEY": "wrong"}, ProviderError, "provider.key_refused", "deepgram does not take DEEPGRAM_API_KEY (401)"),
        ({"CARTESIA_API_KEY": "wrong"}, ProviderError, "provider.key_refused", "cartesia does not take CARTESIA_API_KEY (401)"),
        ({"OPENAI_API_KEY": "wrong"}, ProviderError, "provider.key_refused", "openai does not take OPENAI_API_KEY (401)"),
        ({"LIVEKIT_API_SECRET": "wrong" * 8}, StackError, "livekit.key_refused", "does not take LIVEKIT_API_KEY"),
        ({"LIVEKIT_URL": "ws://127.0.0.1:1"}, StackError, "stack.unreachable", "no LiveKit server answers at LIVEKIT_URL ws://127.0.0.1:1"),
        ({"CARTESIA_API_KEY": "", "OPENAI_API_KEY": ""}, ConfigError, "config.missing_variable", "CARTESIA_API_KEY, OPENAI_API_KEY are not set"),
        ({"SWITCHBOARD_SET": "tts.voise=x"}, ConfigError, "config.invalid", "did you mean voice?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(
    var: Path,
    running: HeldStack,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    error: type[Exception],
    code: str,
    text: str,
) -> None:
    """One wrong thing is one finding with its code and what to do, and the error that the command ends with."""
    with pytest.raises(error, match="ENV=dev: 1 to put right"):
        doctor(as_dev(var, running, **changed), as_json=True)

    said = json.loads(capsys.readouterr().out)
    (finding,) = [one for one in said["findings"] if one["level"] == "wrong"]
    assert not said["ok"]
    assert finding["code"] == code
    assert text in finding["text"]
    assert "wrong" not in finding["text"]


async def test_a_provider_that_does_not_answer_is_named(var: Path, running: HeldStack) -> None:
    """An address where nobody is, and one where something else is, are told apart."""
    url = running.stack.providers_url
    for address, code in (
        ("http://127.0.0.1:1", "provider.unreachable"),
        (f"{url}/v1/x", "provider.down"),
    ):
        wrong = f"'endpoints={{openai.LLM: \"{address}\"}}'"
        own = as_dev(var, running, SWITCHBOARD_SET=wrong, DEEPGRAM_API_KEY="", CARTESIA_API_KEY="")
        assert code in [finding.code for finding in await found(own)]


async def test_sound_that_does_not_get_through_is_found(running: HeldStack) -> None:
    """Joining is not enough: it is heard, or it is a finding that says which ports to open."""
    stack = running.stack
    server = Server(stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret)

    with pytest.raises(StackError, match=r"no sound gets through .* Open UDP") as caught:
        await try_sound(server, tone=bytes(len(TONE)), limit_s=1.0)

    assert caught.value.code == "livekit.media"


async def test_hosts_of_one_name_are_found(var: Path, running: HeldStack) -> None:
    """Two hosts of this clone that share an agent's calls, and one elsewhere that is seen in a call."""
    stack = running.stack
    files = []
    for pid in (os.getpid(), os.getppid()):
        files.append(var / "run" / f"host-{pid}.json")
        said = {
            "pid": pid, "agents": ["support"], "env": "local", "deployment": "",
            "livekit_url": stack.livekit_url, "ready_url": "",
        }  # fmt: skip
        files[-1].write_text(json.dumps(said))
    grants = api.VideoGrants(room_join=True, room="a call")
    token = api.AccessToken(stack.livekit_api_key, stack.livekit_api_secret).with_grants(grants)
    rooms = []
    hosts = {"elsewhere-1": "intake", f"{socket.gethostname()}-{os.getpid()}": "support"}
    for host, agent in hosts.items():
        jwt = token.with_kind("agent").with_identity(host).with_name(agent)
        rooms.append(rtc.Room())
        await rooms[-1].connect(stack.livekit_url, jwt.with_attributes({HOST: host}).to_jwt())

    (same,) = await found(settings(var))
    (elsewhere,) = await found(settings(var), "note")

    for room in rooms:
        await room.disconnect()
    for file in files:
        file.unlink()
    assert same.code == "host.same_name"
    assert str(os.getpid()) in same.text
    assert elsewhere.code == "host.elsewhere"
    assert "intake is in a call now that host elsewhere-1 serves" in elsewhere.text


async def test_without_a_stack_it_says_so(tmp_path: Path) -> None:
    """Nothing is wrong with a machine on which nothing runs yet."""
    (note,) = await found(settings(tmp_path), "note")

    assert note.code == "stack.none"
    assert "Start one: make run" in note.text
    assert await found(settings(tmp_path)) == []


async def test_an_exported_server_is_tried_without_a_stack(
    tmp_path: Path, running: HeldStack
) -> None:
    """In local only a server that was exported by hand counts, and it is asked like any other."""
    stack = running.stack
    own = settings(
        tmp_path,
        LIVEKIT_URL=stack.livekit_url,
        LIVEKIT_API_KEY=stack.livekit_api_key,
        LIVEKIT_API_SECRET=stack.livekit_api_secret,
    )

    assert [f.code for f in await found(own, "ok")][-2:] == ["livekit", "sound"]


async def test_a_plugin_without_a_stand_in_is_found(tmp_path: Path) -> None:
    """What `make run` would refuse in local, doctor says too."""
    (finding,) = await found(
        settings(tmp_path, SWITCHBOARD_SET="tts.provider=elevenlabs ~tts.voice")
    )

    assert finding.code == "config.endpoint"
    assert "elevenlabs.TTS" in finding.text


async def test_a_machine_with_nothing_but_lo_is_found() -> None:
    """WebRTC needs another interface; the finding says how to make one."""
    finding = network({"lo"})

    assert (finding.level, finding.code) == ("wrong", "stack.loopback_only")
    assert "ip link add" in finding.text


async def test_other_versions_are_found() -> None:
    """A package beside its pin, and a plugin of another release than LiveKit's agents."""
    installed = {dist.name.lower(): dist.version for dist in metadata.distributions()}
    assert [finding.level for finding in versions(installed)] == ["ok"]

    wrong = versions({**installed, "hydra-core": "1.4.0", "livekit-plugins-hume": "1.0.0"})
    assert [finding.text for finding in wrong] == [
        f"hydra-core is 1.4.0, not {installed['hydra-core']}. Try: make install",
        f"livekit-plugins-hume is 1.0.0, not {installed['livekit-agents']}. Try: make install",
    ]
