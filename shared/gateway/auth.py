"""Who asks, and what that opens.

Users come with a signed token of the frontend's own sign-in (JWT), servers with an API key. On loopback in local nobody has to.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property

import jwt

from shared.errors import ConfigError
from shared.gateway.problems import Refusal

SCOPES = ("token", "dispatch", "metadata", "calls")
LEEWAY_S = 10
"""Clocks of two machines may differ by so much."""

_ASYMMETRIC = ("RS256", "ES256", "EdDSA")


@dataclass(frozen=True)
class Who:
    """The one who asks.

    Attributes:
        user_id: As the sign-in knows it; the agents' metadata gets it.
        rooms: Patterns of the rooms that exist already and may be joined.
        is_server: Came with an API key: it may say on whose behalf.
    """

    user_id: str
    scopes: frozenset[str]
    rooms: tuple[str, ...] = ()
    is_server: bool = False

    @property
    def name(self) -> str:
        """For rate limits and identities in rooms: tells nobody who it is."""
        return hashlib.sha256(self.user_id.encode()).hexdigest()[:16]

    def may_enter(self, room: str) -> bool:
        return any(fnmatchcase(room, pattern) for pattern in self.rooms)


@dataclass(frozen=True)
class Doorkeeper:
    """Judges the `Authorization` header.

    Attributes:
        secret: Of HS256 tokens.
        jwks_url: Of public keys, for tokens of an identity provider.
        keys: SHA-256 of each API key (hexadecimal) to its scopes.
        open_as: In local: the user that everybody is who brings nothing.
    """

    secret: str = field(default="", repr=False)
    jwks_url: str = ""
    issuer: str = ""
    audience: str = "switchboard"
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    open_as: str | None = None

    async def admit(self, header: str | None) -> Who:
        """Who that is.

        Raises:
            Refusal: 401, with what is wrong with the header, never with what it holds; 503 where the sign-in's keys cannot be had.
        """
        if self.open_as is not None and not (header and self._knows_anybody):
            return Who(self.open_as, frozenset(SCOPES), ("*",))
        if not header:
            raise _unknown("send Authorization: Bearer, with a token or an API key")
        kind, _, given = header.partition(" ")
        if kind.lower() != "bearer" or not given:
            raise _unknown("the Authorization header is not of the kind Bearer")
        if given.startswith("sb_"):
            return self._server(given)
        if self.jwks_url:
            return await asyncio.to_thread(self._user, given)  # may have to fetch the keys
        return self._user(given)

    @property
    def _knows_anybody(self) -> bool:
        return bool(self.secret or self.jwks_url or self.keys)

    def _server(self, given: str) -> Who:
        digest = hashlib.sha256(given.encode()).hexdigest()
        for known, scopes in self.keys.items():
            if hmac.compare_digest(known, digest):
                return Who(f"key:{digest[:12]}", scopes, ("*",), is_server=True)
        raise _unknown("the API key is not known")

    def _user(self, given: str) -> Who:
        if not (self.secret or self.jwks_url):
            raise _unknown("tokens of users are not set up here")
        try:
            claims = jwt.decode(
                given,
                key=self._key_of(given),
                algorithms=list(_ASYMMETRIC) if self.jwks_url else ["HS256"],
                audience=self.audience,
                issuer=self.issuer or None,
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub", "aud", *(["iss"] if self.issuer else [])]},
            )
        except jwt.PyJWKClientConnectionError:
            raise Refusal(
                503, "the keys of the sign-in cannot be fetched", "auth.provider"
            ) from None
        except jwt.PyJWTError as err:
            raise _unknown(f"the token is not valid: {type(err).__name__}") from None
        scopes = frozenset(str(claims.get("scope", "token metadata")).split()) & set(SCOPES)
        rooms = claims.get("rooms", ())
        if not (isinstance(rooms, list | tuple) and all(isinstance(one, str) for one in rooms)):
            raise _unknown("the token's rooms are no list of names")
        return Who(str(claims["sub"]), scopes, tuple(rooms))

    def _key_of(self, given: str) -> str | jwt.PyJWK:
        return self._provider.get_signing_key_from_jwt(given) if self.jwks_url else self.secret

    @cached_property
    def _provider(self) -> jwt.PyJWKClient:
        return jwt.PyJWKClient(self.jwks_url, timeout=5)


def read_keys(text: str) -> dict[str, frozenset[str]]:
    """API keys as the environment names them: `SHA256:scope+scope`, several of them with blanks between.

    Raises:
        ConfigError: One is not of this form; says which by its place.
    """
    keys = {}
    for number, entry in enumerate(text.split(), start=1):
        digest, _, scopes = entry.partition(":")
        chosen = frozenset(scopes.split("+"))
        if len(digest) != 64 or not chosen <= set(SCOPES):
            raise ConfigError(
                f"SWITCHBOARD_API_KEYS: entry {number} is not SHA256:scope+scope with scopes of {', '.join(SCOPES)}",
                code="gateway.keys",
            )
        keys[digest.lower()] = chosen
    return keys


def _unknown(detail: str) -> Refusal:
    return Refusal(401, detail, "auth.unknown", headers={"WWW-Authenticate": "Bearer"})
