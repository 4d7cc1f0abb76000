"""OpenAI's wire, served on loopback: `POST /v1/chat/completions`, streamed or whole, with tools; `GET /v1/models`."""

from aiohttp import web


def add_routes(app: web.Application) -> None:
    """Serve OpenAI's routes."""
