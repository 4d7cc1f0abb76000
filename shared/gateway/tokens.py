"""Tokens for frontends, as LiveKit's TokenSource asks for them: into which room, as whom, with which agent.

Source of the request's and the answer's shape: https://docs.livekit.io/frontends/build/authentication/endpoint/
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any

from livekit import api
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared import registry
from shared.config.snapshot import resolve
from shared.dispatch import reference
from shared.dispatch.dispatcher import Order
from shared.dispatch.identity import AGENT, KEY, REFERENCE
from shared.errors import Problem
from shared.gateway.auth import Who
from shared.gateway.desk import Desk
from shared.gateway.problems import Refusal
from shared.metadata.contract import CallMetadata
from shared.metadata.marks import FromCaller, marked
from shared.metadata.parse import check_metadata, dump, parse_object, refusal

LIFETIME = timedelta(minutes=10)
"""A token is for joining; who has joined stays."""

NOT_THEIRS = ("sb.", "lk.", "sip.")
"""Attributes that say something to us or LiveKit: nobody brings them along."""

_NEVER = frozenset({"user_id", "data"})
"""Of the contract's base: a frontend's user sets neither."""


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class AgentWish(_Body):
    """An agent, with its metadata as JSON text."""

    agent_name: str = Field("", max_length=64)
    metadata: str = Field("", max_length=65_536)
    deployment: str = Field("", max_length=64)


class RoomWish(_Body):
    """LiveKit's RoomConfiguration, as far as a browser may say it."""

    agents: list[AgentWish] = Field(default_factory=list, max_length=8)


class TokenRequest(_Body):
    """LiveKit's standard. Unknown fields are ignored, as there."""

    room_name: str | None = Field(None, min_length=1, max_length=128)
    participant_name: str = Field("", max_length=128)
    participant_identity: str | None = Field(None, min_length=1, max_length=128)
    participant_metadata: str = Field("", max_length=32_768)
    participant_attributes: dict[str, str] = Field(default_factory=dict, max_length=64)
    room_config: RoomWish | None = None


class TokenAnswer(BaseModel):
    """LiveKit's standard."""

    server_url: str
    participant_token: str


async def issue(desk: Desk, who: Who, wish: TokenRequest) -> TokenAnswer:
    """A token, and the agent: with a new room by the token itself, else by a dispatch of the same key.

    Raises:
        ConfigError: There is no such agent.
        MetadataError: The metadata does not fit, or sets what is closed to frontends.
        PolicyError: It asks for a config that policy keeps closed.
        Refusal: No agent is named, or several.
    """
    named = [one for one in (wish.room_config or RoomWish()).agents if one.agent_name]
    if len(named) != 1:
        known = ", ".join(desk.agents)
        raise Refusal(422, f"name one agent in room_config.agents: {known}", "token.agent")
    agent = named[0].agent_name
    desk.check_agent(agent)
    metadata = judge(desk, who, agent, named[0].metadata)
    room = _room(desk, who, wish.room_name)
    key = call_key(room, agent)
    ref = reference.put(desk.folder, key, agent=agent, room=room, metadata=dump(metadata))
    order = Order(agent, room, "", key, deployment=desk.deployment, attributes={REFERENCE: ref})
    token = (
        api.AccessToken(desk.key, desk.secret)
        .with_identity(_identity(who, wish))
        .with_name(wish.participant_name)
        .with_metadata(wish.participant_metadata)
        .with_attributes(
            {AGENT: agent, REFERENCE: ref}
            | {k: v for k, v in wish.participant_attributes.items() if not k.startswith(NOT_THEIRS)}
        )
        .with_grants(api.VideoGrants(room_join=True, room=room, can_update_own_metadata=False))
        .with_ttl(LIFETIME)
    )
    # a name that was made up here is nobody's yet: LiveKit need not be asked
    if wish.room_name is not None and await desk.has_room(room):
        await desk.send(order)
    else:
        dispatch = api.RoomAgentDispatch(
            agent_name=agent,
            deployment=desk.deployment,
            attributes={**order.attributes, KEY: key, "sb.attempt": "1"},
        )
        token = token.with_room_config(api.RoomConfiguration(agents=[dispatch]))
    return TokenAnswer(server_url=desk.livekit_url, participant_token=token.to_jwt())


def judge(desk: Desk, who: Who, agent: str, text: str) -> CallMetadata:
    """The metadata of a frontend's dispatch, with the user that signed in.

    Raises:
        MetadataError: It does not fit, or sets what is closed to frontends.
        PolicyError: It asks for a config that policy keeps closed.
    """
    contract = registry.contract(agent)
    given = parse_object(text or "{}", contract)
    if not who.is_server:
        _check_open(contract, given)
        given["user_id"] = who.user_id
    metadata = check_metadata(given, contract)
    resolve(
        desk.snapshot,
        agent,
        profile=metadata.profile,
        locale=metadata.locale,
        overrides=metadata.config,
    )
    return metadata


def _check_open(contract: type[CallMetadata], given: dict[str, Any]) -> None:
    opened = marked(contract, FromCaller) | {"profile", "config"}
    known = set(contract.model_fields)
    closed = [
        Problem(f"/{name}", "metadata.closed", "a frontend may not set it")
        for name in given
        if name in (known - opened) | _NEVER
    ]
    if closed:
        raise refusal(contract, closed)


def call_key(room: str, agent: str) -> str:
    """The key of the one dispatch of this agent in this room: tabs, reloads and races come to the same."""
    digest = hashlib.sha256("\n".join((room, agent)).encode()).hexdigest()
    return f"r-{digest[:20]}"


def _room(desk: Desk, who: Who, wished: str | None) -> str:
    """The room. A user's wish becomes a name of its own: nobody gets into another one's room by its name."""
    if wished is not None and who.may_enter(wished):
        return wished
    name = wished or f"call-{secrets.token_hex(6)}"
    seal = hmac.new(desk.secret.encode(), f"{who.user_id}\n{name}".encode(), "sha256")
    return f"{name}-{seal.hexdigest()[:12]}"


def _identity(who: Who, wish: TokenRequest) -> str:
    if wish.participant_identity is not None and who.may_enter("*"):
        return wish.participant_identity
    return f"u-{who.name[:8]}-{secrets.token_hex(4)}"
