"""The one key that every stand-in accepts, in whichever header its provider wants it."""

import hmac

from aiohttp import web

KEY = web.AppKey("key", str)


def holds_key(request: web.Request, *schemes: str) -> bool:
    """Whether the key is in `Authorization`, after one of `schemes`, or in `X-API-Key`.

    Deepgram says `Token KEY`, OpenAI and Cartesia's SDK `Bearer KEY`, Cartesia's plugin `X-API-Key: KEY`.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in {wanted.lower() for wanted in schemes}:
        key = request.headers.get("X-API-Key", "")
    return hmac.compare_digest(key.strip().encode(), request.app[KEY].encode())
