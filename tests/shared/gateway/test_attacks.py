"""What the gateway answers to whom it should not let in, and to what it should not take."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping

import aiohttp
import jwt
import pytest

from shared.gateway.guards import BODY_BYTES
from shared.gateway.tokens import call_key
from shared.local.stack import HeldStack
from shared.records.spool import read_call
from tests.shared.gateway.conftest import Gateway, bearer

INTAKE = {"room_config": {"agents": [{"agent_name": "intake", "metadata": "{}"}]}}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param(None, "send Authorization", id="none"),
        pytest.param("not-a-token", "DecodeError", id="nonsense"),
        pytest.param(jwt.encode({"sub": "ann"}, "x" * 32), "InvalidSignature", id="forged"),
        pytest.param(bearer(exp=time.time() - 60), "ExpiredSignature", id="expired"),
        pytest.param(bearer(exp=None), "MissingRequiredClaim", id="without an end"),
        pytest.param(bearer(aud="another"), "InvalidAudience", id="other audience"),
        pytest.param(bearer(rooms="all"), "no list", id="odd rooms"),
        pytest.param("sb_unknown", "API key is not known", id="unknown key"),
        pytest.param(
            jwt.encode({"sub": "ann", "aud": "switchboard"}, "", algorithm="none"),
            "InvalidAlgorithm",
            id="unsigned",
        ),
    ],
)
async def test_who_is_not_known_gets_401(gateway: Gateway, given: str | None, why: str) -> None:
    """With what is wrong, without what was sent."""
    status, told = await gateway.token(INTAKE, bearer=given)
    assert (status, told["code"]) == (401, "auth.unknown")
    assert why in told["detail"]
    assert given is None or given not in json.dumps(told)


@pytest.mark.parametrize(
    ("metadata", "pointer", "code"),
    [
        ('{"user_id": "somebody-else"}', "/user_id", "metadata.closed"),
        ('{"data": {"vip": true}}', "/data", "metadata.closed"),
        ('{"user_phone": "12"}', "/user_phone", "metadata.phone"),
        ('{"colour": "red"}', "/colour", "metadata.unknown"),
        ('{"config": {"llm.model": "dear"}}', "/config/llm.model", "policy.closed"),
        ('{"user_name"', "", "metadata.json"),
    ],
)
async def test_what_is_not_open_is_refused_at_its_field(
    gateway: Gateway, metadata: str, pointer: str, code: str
) -> None:
    """The contract's own errors as problem details."""
    wish = {"room_config": {"agents": [{"agent_name": "intake", "metadata": metadata}]}}
    status, told = await gateway.token(wish, bearer=bearer())
    assert status == 422
    assert [(one["pointer"], one["code"]) for one in told["errors"]] == [(pointer, code)]


async def test_agents_that_are_not_there_are_refused(gateway: Gateway) -> None:
    """A wrong name gets the nearest; none at all, or two, gets the list."""
    wish = {"room_config": {"agents": [{"agent_name": "intak"}]}}
    status, told = await gateway.token(wish, bearer=bearer())
    assert (status, told["code"]) == (404, "agent.unknown")
    assert "did you mean intake" in told["detail"]
    two: dict[str, object] = {
        "room_config": {"agents": [{"agent_name": "intake"}, {"agent_name": "support"}]}
    }
    nobody: dict[str, object] = {"room_config": {"agents": [{}]}}
    for body in ({}, nobody, two):
        status, told = await gateway.token(body, bearer=bearer())
        assert (status, told["code"]) == (422, "token.agent")


async def test_a_token_says_who_and_tells_nothing(gateway: Gateway, held: HeldStack) -> None:
    """The user is the one that signed in, attributes of ours are not the browser's to set, and no field rides along."""
    wish = {
        "room_name": "lobby",
        "participant_identity": "somebody-else",
        "participant_attributes": {"sb.key": "stolen", "sip.phoneNumber": "+1", "seat": "12"},
        "room_config": {
            "agents": [{"agent_name": "intake", "metadata": '{"user_name": "Ada Lovelace"}'}]
        },
    }
    status, told = await gateway.token(wish, bearer=bearer(sub="ann"))
    claims = jwt.decode(
        told["participant_token"], held.stack.livekit_api_secret, algorithms=["HS256"]
    )
    room = claims["video"]["room"]
    [agent] = claims["roomConfig"]["agents"]
    [kept] = read_call(gateway.var / "records", call_key(room, "intake"))

    assert status == 201
    assert claims["sub"].startswith("u-")
    assert {"sb.key", "sip.phoneNumber"} & claims["attributes"].keys() == set()
    assert claims["attributes"]["seat"] == "12"
    assert "Ada" not in json.dumps(claims)
    assert "ann" not in json.dumps(claims).replace("channel", "")
    assert agent["attributes"]["sb.key"] == call_key(room, "intake")
    assert json.loads(kept.data["metadata"]) == {"user_id": "ann", "user_name": "Ada Lovelace"}


async def test_a_replayed_request_brings_nothing_new(gateway: Gateway, held: HeldStack) -> None:
    """The same request again is for the same room and the same dispatch, whoever has recorded it; only the user's own token opens it."""
    body, user = {**INTAKE, "room_name": "again"}, bearer(sub="ann")
    told = [(await gateway.token(body, bearer=user))[1] for _ in range(2)]
    claims = [
        jwt.decode(one["participant_token"], held.stack.livekit_api_secret, algorithms=["HS256"])
        for one in told
    ]
    rooms = {one["video"]["room"] for one in claims}
    keys = {one["roomConfig"]["agents"][0]["attributes"]["sb.key"] for one in claims}

    assert (len(rooms), len(keys)) == (1, 1)
    assert len({one["sub"] for one in claims}) == 2  # nobody is thrown out by it
    assert (await gateway.token(body))[0] == 401


async def test_a_foreign_room_is_out_of_reach(gateway: Gateway, held: HeldStack) -> None:
    """The same name is another room for another user, unless the sign-in opens it; scopes close the rest."""

    async def room(who: str) -> str:
        _, told = await gateway.token({**INTAKE, "room_name": "lobby"}, bearer=who)
        claims = jwt.decode(
            told["participant_token"], held.stack.livekit_api_secret, algorithms=["HS256"]
        )
        return str(claims["video"]["room"])

    ann, again, ben = [await room(bearer(sub=name)) for name in ("ann", "ann", "ben")]
    assert ann == again != ben
    assert await room(bearer(sub="ben", rooms=["lob*"])) == "lobby"
    status, told = await gateway.ask(
        "PUT", f"/rooms/{ann}/metadata", {"locale": "es"}, bearer=bearer(sub="ben")
    )
    assert (status, told["code"]) == (403, "auth.room")
    for method, path, body in (
        ("GET", "/calls", None),
        ("GET", "/calls/x", None),
        ("GET", "/dispatches/x", None),
        ("POST", "/dispatches", {"agent": "intake", "room": "r"}),
    ):
        status, told = await gateway.ask(method, path, body, bearer=bearer())
        assert (status, told["code"]) == (403, "auth.scope")


async def test_a_body_that_is_too_long_or_too_slow_is_not_waited_for(gateway: Gateway) -> None:
    """413 as soon as it is too long, 408 after some seconds."""
    status, told = await gateway.token({"room_name": "x" * BODY_BYTES}, bearer=bearer())
    assert (status, told["code"]) == (413, "request.long")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    writer.write(
        b"POST /token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )
    answer = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert b" 408 " in answer


async def test_a_signature_that_is_not_livekits_is_refused(gateway: Gateway) -> None:
    """Nobody has agents sent by telling that a caller came."""
    status, told = await gateway.ask("POST", "/webhook", {"event": "participant_joined"})
    assert (status, told["code"]) == (401, "auth.signature")


async def test_a_thousand_requests_at_once_are_all_answered(gateway: Gateway) -> None:
    """One user gets as many tokens as the rate lets through, then 429 with when to come again; others are served."""
    own = bearer(sub="eager")
    limit = aiohttp.TCPConnector(limit=200)
    async with aiohttp.ClientSession(connector=limit) as client:

        async def ask(who: str, headers: Mapping[str, str] | None = None) -> int:
            url = f"{gateway.url}/token"
            given = {"Authorization": f"Bearer {who}", **(headers or {})}
            async with client.post(url, json=INTAKE, headers=given) as answer:
                await answer.read()
                if answer.status == 429:
                    assert int(answer.headers["Retry-After"]) > 0
                return answer.status

        begun = time.monotonic()
        found = Counter(await asyncio.gather(*(ask(own) for _ in range(1000))))
        took_s = time.monotonic() - begun
        other = await ask(bearer(sub="patient"))

    assert 120 <= found[201] <= 121 + 120 * took_s / 60  # what is used up comes back over a minute
    assert found[201] + found[429] == 1000
    assert other == 201
