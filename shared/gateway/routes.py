"""What frontends and servers may ask for."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Security
from fastapi.security import HTTPBearer
from livekit import api
from pydantic import BaseModel, Field

from shared import registry
from shared.config.judge import as_object, judge
from shared.config.policy import Rule
from shared.config.snapshot import resolve
from shared.dispatch.dispatcher import Order
from shared.dispatch.identity import AGENT, KEY, REFERENCE
from shared.dispatch.rooms import put_metadata
from shared.gateway.auth import Doorkeeper, Who
from shared.gateway.desk import Desk
from shared.gateway.guards import Pace
from shared.gateway.problems import RESPONSES, Refusal
from shared.gateway.tokens import TokenAnswer, TokenRequest, call_key, issue
from shared.metadata.parse import check_metadata, dump, parse_object
from shared.metadata.schema import json_schema
from shared.records.calls import remedy

ACKNOWLEDGED_S = 3.0

Name = Annotated[str, Path(min_length=1, max_length=128)]

router = APIRouter(responses=RESPONSES)

_BEARER = HTTPBearer(
    auto_error=False, description="A token of the sign-in, or an API key (sb_…). In local nothing."
)


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _who(request: Request, _: Annotated[object, Security(_BEARER)]) -> Who:
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    pace: Pace = request.app.state.pace
    address = request.client.host if request.client else "?"
    try:
        who = await doorkeeper.admit(request.headers.get("Authorization"))
    except Refusal:
        await pace.check(address)
        raise
    await pace.check(who.name)
    return who


TheDesk = Annotated[Desk, Depends(_desk)]
Caller = Annotated[Who, Depends(_who)]


def _need(who: Who, scope: str) -> None:
    if scope not in who.scopes:
        raise Refusal(403, f"this needs the scope {scope}", "auth.scope")


@router.get("/health", tags=["service"])
async def health(desk: TheDesk) -> dict[str, str]:
    """200 while it serves."""
    return {"env": desk.snapshot.env}


@router.post("/token", status_code=201, tags=["frontends"])
async def token(wish: TokenRequest, desk: TheDesk, who: Caller) -> TokenAnswer:
    """LiveKit's TokenSource standard: a token for a room and one agent in it."""
    _need(who, "token")
    return await issue(desk, who, wish)


@router.get("/agents", tags=["frontends"])
async def agents(desk: TheDesk, who: Caller) -> list[dict[str, Any]]:
    """The agents that may be called, with what their dispatch may say."""
    profiles = sorted(name for name in next(iter(desk.snapshot.variants.values())))
    return [
        {
            "name": name,
            "description": (registry.agent_class(name).__doc__ or "").strip().splitlines()[0],
            "schema": json_schema(registry.contract(name)),
            "profiles": profiles,
            "allow": {key: _rule(rule) for key, rule in desk.snapshot.allow[name].items()},
        }
        for name in desk.agents
    ]


class Said(BaseModel):
    """The metadata of a dispatch."""

    metadata: dict[str, Any] = Field(default_factory=dict)


@router.post("/agents/{name}/explain", tags=["frontends"])
async def explain(name: Name, said: Said, request: Request, desk: TheDesk, who: Caller) -> Any:
    """Where each value of such a call's config comes from, and what would be refused."""
    _need(who, "token")
    desk.check_agent(name)
    given = said.metadata if who.is_server else {**said.metadata, "user_id": who.user_id}
    judged = judge(desk.snapshot, name, json.dumps(given))
    async with request.app.state.composing:  # Hydra has one state for the process
        values = await asyncio.to_thread(request.app.state.origins, judged)
    return json.loads(json.dumps(as_object(judged, values), default=list))


class DispatchRequest(BaseModel):
    """An agent to send into a room."""

    agent: str = Field(max_length=64)
    room: str = Field(min_length=1, max_length=128)
    metadata: dict[str, Any] = Field(default_factory=dict)
    key: str | None = Field(None, min_length=1, max_length=128)
    wait_s: float = Field(10.0, gt=0, le=30)


@router.post("/dispatches", tags=["dispatches and rooms"])
async def dispatch(wish: DispatchRequest, desk: TheDesk, who: Caller) -> dict[str, Any]:
    """Send an agent and see it there, or say why not. Repeated with the same key it is the same call."""
    _need(who, "dispatch")
    desk.check_agent(wish.agent)
    metadata = check_metadata(wish.metadata, registry.contract(wish.agent))
    resolve(
        desk.snapshot,
        wish.agent,
        profile=metadata.profile,
        locale=metadata.locale,
        overrides=metadata.config,
    )
    key = wish.key or secrets.token_hex(8)
    order = Order(wish.agent, wish.room, dump(metadata), key, deployment=desk.deployment)
    return asdict(await desk.dispatch(order, deadline_s=wish.wait_s))


@router.get("/dispatches/{key}", tags=["dispatches and rooms"])
async def dispatched(key: Name, desk: TheDesk, who: Caller) -> dict[str, Any]:
    """What became of a dispatch."""
    _need(who, "dispatch")
    return await _call(desk, key, events=False)


@router.put("/rooms/{room}/metadata", tags=["dispatches and rooms"])
async def room_metadata(
    room: Name, metadata: dict[str, Any], desk: TheDesk, who: Caller
) -> dict[str, Any]:
    """Change a room's metadata; answers with what its agent made of it."""
    _need(who, "metadata")
    if not who.may_enter(room) and not await _is_in(desk, room, who):
        raise Refusal(403, "this room is not open to you", "auth.room")
    people = await _people(desk, room)
    names = {one.name for one in people if KEY in one.attributes} & set(desk.agents)
    if not names:
        raise Refusal(409, "no agent is in this room", "room.empty")
    text = json.dumps(metadata)
    for name in sorted(names):
        parse_object(text, registry.contract(name))
    answers = await put_metadata(desk.lkapi, room, text, limit_s=ACKNOWLEDGED_S)
    said = [answer for answer in answers.values() if answer is not None]
    if len(said) < len(answers):
        raise Refusal(504, "the agent did not acknowledge it in time", "room.unacknowledged")
    return {**said[0], "agents": answers}


@router.get("/calls", tags=["records"])
async def calls(
    desk: TheDesk, who: Caller, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[dict[str, Any]]:
    """The newest calls, without anything that was said."""
    _need(who, "calls")
    found = await asyncio.to_thread(desk.store.newest, limit)
    return [one.as_object() for one in found]


@router.get("/calls/{name}", tags=["records"])
async def call(name: Name, desk: TheDesk, who: Caller) -> dict[str, Any]:
    """One call by its id, a dispatch or a room, with all that happened in it."""
    _need(who, "calls")
    return await _call(desk, name, events=True)


@router.post("/webhook", status_code=204, include_in_schema=False)
async def webhook(request: Request, desk: TheDesk) -> None:
    """LiveKit tells who came: a caller who was promised an agent gets it, whatever became of the token's own dispatch."""
    receiver = api.WebhookReceiver(api.TokenVerifier(desk.key, desk.secret))
    try:
        event = receiver.receive(
            (await request.body()).decode(), request.headers.get("Authorization", "")
        )
    except Exception:
        raise Refusal(401, "the signature is not LiveKit's", "auth.signature") from None
    attributes = event.participant.attributes
    agent, ref = attributes.get(AGENT), attributes.get(REFERENCE)
    if event.event == "participant_joined" and agent and ref and agent in desk.agents:
        room = event.room.name
        key = call_key(room, agent)
        order = Order(agent, room, "", key, desk.deployment, attributes={REFERENCE: ref})
        await desk.send(order)


async def _call(desk: Desk, name: str, *, events: bool) -> dict[str, Any]:
    def read() -> dict[str, Any] | None:
        found = desk.store.find(name)
        if found is None:
            return None
        told = {**found.as_object(), "remedy": remedy(found.code)}
        if events:
            told["events"] = [event.as_object() for event in desk.store.events(found.call_id)]
        return told

    found = await asyncio.to_thread(read)
    if found is None:
        raise Refusal(
            404, "no call, dispatch or room of this name is in the records", "call.unknown"
        )
    return found


async def _people(desk: Desk, room: str) -> list[api.ParticipantInfo]:
    try:
        found = await desk.lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
    except api.TwirpError as err:
        if err.code != "not_found":
            raise
        return []
    return list(found.participants)


async def _is_in(desk: Desk, room: str, who: Who) -> bool:
    """Whether this user is in the room now."""
    return any(one.identity.startswith(f"u-{who.name[:8]}-") for one in await _people(desk, room))


def _rule(rule: Rule) -> dict[str, Any]:
    return {name: value for name, value in asdict(rule).items() if value not in (None, "", ())}
