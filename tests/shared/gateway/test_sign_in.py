"""Users who come with a token of an identity provider: its public keys are fetched by URL (JWKS)."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from shared.gateway.auth import Doorkeeper
from shared.gateway.problems import Refusal

KEY, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


CLAIMS = {"sub": "ann", "aud": "switchboard", "iss": "us", "exp": time.time() + 600}


def token(key: rsa.RSAPrivateKey = KEY, kid: str = "one") -> str:
    return jwt.encode(CLAIMS, key, "RS256", headers={"kid": kid})


def signed_with_the_public_key() -> str:
    """PyJWT itself refuses to make one."""
    parts = ({"alg": "HS256", "kid": "one"}, CLAIMS)
    text = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    seal = urlsafe_b64encode(hmac.digest(PUBLIC, text, "sha256")).rstrip(b"=")
    return (text + b"." + seal).decode()


@pytest.fixture
async def provider() -> AsyncIterator[BaseTestServer]:
    async def keys(_: web.Request) -> web.Response:
        public = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return web.json_response({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]})

    app = web.Application()
    app.router.add_get("/keys", keys)
    async with TestServer(app, host="127.0.0.1") as running:
        yield running


def door(provider: BaseTestServer) -> Doorkeeper:
    return Doorkeeper(jwks_url=str(provider.make_url("/keys")), issuer="us")


async def test_a_providers_user_is_known(provider: BaseTestServer) -> None:
    """By the key that the token names."""
    who = await door(provider).admit(f"Bearer {token()}")

    assert (who.user_id, who.is_server) == ("ann", False)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param(token(OTHER), "InvalidSignature", id="another's key"),
        pytest.param(token(kid="two"), "PyJWKClientError", id="unknown key"),
        pytest.param(signed_with_the_public_key(), "Algorithm", id="signed with the public key"),
    ],
)
async def test_a_forged_user_is_not(provider: BaseTestServer, given: str, why: str) -> None:
    """401, and which check it did not pass."""
    with pytest.raises(Refusal, match=why) as refused:
        await door(provider).admit(f"Bearer {given}")

    assert refused.value.status == 401


async def test_a_provider_that_is_gone_is_told(provider: BaseTestServer) -> None:
    """It is nobody's token that is wrong."""
    keeper = door(provider)
    await provider.close()
    with pytest.raises(Refusal) as refused:
        await keeper.admit(f"Bearer {token()}")

    assert (refused.value.status, refused.value.code) == (503, "auth.provider")
