"""The stand-ins' application: every provider on one port."""

from aiohttp import web

from shared.local import cartesia, deepgram_flux, deepgram_nova, faults, openai
from shared.local.auth import KEY
from shared.local.voice import VOICE, Voice


def build_app(voice: Voice, key: str) -> web.Application:
    """An application that accepts only `key`."""
    app = web.Application(client_max_size=1 << 22)
    app[KEY] = key
    app[VOICE] = voice
    for provider in (faults, deepgram_flux, deepgram_nova, cartesia, openai):
        provider.add_routes(app)
    return app
