"""Deepgram's `/v2/listen` (Flux), as its plugin, its SDK and its documents know it.

`keyterm`, `tag`, `language_hint`, `numerals`, `profanity_filter` and `redact` are accepted and change nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import web

from shared.local import deepgram
from shared.local.deepgram import CONFIDENCE, RefusedError, Stream
from shared.local.listener import TurnEvent
from shared.local.turns import Thresholds

log = structlog.get_logger(__name__)

_MODELS = ("flux-general-en", "flux-general-multi")
_FLAGS = ("mip_opt_out", "numerals", "profanity_filter")
_PARAMETERS = {
    "model", "encoding", "sample_rate", "eot_threshold", "eager_eot_threshold", "eot_timeout_ms",
    "keyterm", "language_hint", "tag", "redact", *_FLAGS,
}  # fmt: skip
_RANGES: dict[str, tuple[str, float, float]] = {
    "eot_threshold": ("eot", 0.5, 1.0),
    "eager_eot_threshold": ("eager", 0.3, 0.9),
    "eot_timeout_ms": ("timeout_ms", 500, 60000),
}


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v2/listen", _listen)


async def _listen(request: web.Request) -> web.StreamResponse:
    return await deepgram.serve(request, _Flux)


class _Flux(Stream):
    """Turns of a caller."""

    def __init__(self, request: web.Request, request_id: str) -> None:
        super().__init__(request, request_id)
        self._keyterms: list[str] = request.query.getall("keyterm", [])
        self._sequence = 0

    def read(self, query: Mapping[str, str]) -> tuple[int, Thresholds]:
        deepgram.check_names(query, _PARAMETERS)
        if query.get("model") not in _MODELS:
            raise RefusedError("No such model/version combination found.")
        if query.get("model") != _MODELS[0]:
            log.warning("only English is recognised here", model=query["model"])
        for name in _FLAGS:
            deepgram.read_flag(query, name)
        given = {name: query[name] for name in _RANGES if name in query}
        return deepgram.read_rate(query), _with_thresholds(Thresholds(), given)

    async def greet(self) -> None:
        await self._tell(type="Connected", request_id=self.request_id)

    async def complain(self) -> None:
        """An error of Flux is the end of the stream."""
        await self._tell(type="Error", code="INTERNAL_SERVER_ERROR", description="On order.")
        await self.ws.close()

    async def obey(self, kind: object, message: Mapping[str, Any]) -> bool:
        if kind == "CloseStream":
            await self.hear_rest()
            await self.listener.show()
            return False
        if kind == "ForceEndTurn":
            await self.listener.end_turn()
        elif kind == "Configure":
            await self._configure(message)
        else:
            await self._tell(
                type="Error",
                code="UNPARSABLE_CLIENT_MESSAGE",
                description="Not a JSON object of a known type.",
            )
            return False
        return True

    async def report(self, turn: TurnEvent) -> None:
        await self._tell(
            type="TurnInfo",
            request_id=self.request_id,
            event=turn.event,
            turn_index=turn.turn,
            audio_window_start=round(turn.start, 3),
            audio_window_end=round(turn.end, 3),
            transcript=turn.transcript,
            words=[
                {"word": word, "confidence": CONFIDENCE, "start": start, "end": end}
                for word, start, end in turn.words
            ],
            end_of_turn_confidence=round(turn.confidence, 4),
            **({"trigger": turn.trigger} if turn.trigger else {}),
        )

    async def _configure(self, message: Mapping[str, Any]) -> None:
        given = message.get("thresholds") or {}
        try:
            thresholds = _with_thresholds(self.listener.thresholds, given)
        except (RefusedError, TypeError, AttributeError) as err:
            await self._tell(
                type="ConfigureFailure",
                request_id=self.request_id,
                code="INVALID_CONFIGURATION",
                description=str(err),
            )
            return
        self.listener.thresholds = thresholds
        self._keyterms = message.get("keyterms", self._keyterms)
        now = {
            "eot_threshold": thresholds.eot,
            "eager_eot_threshold": thresholds.eager,
            "eot_timeout_ms": thresholds.timeout_ms,
        }
        await self._tell(
            type="ConfigureSuccess",
            request_id=self.request_id,
            thresholds={name: value for name, value in now.items() if value is not None},
            keyterms=self._keyterms,
            **{key: message[key] for key in ("language_hints",) if message.get(key)},
        )

    async def _tell(self, **fields: Any) -> None:
        await self.send(**fields, sequence_id=self._sequence)
        self._sequence += 1


def _with_thresholds(current: Thresholds, given: Mapping[str, Any]) -> Thresholds:
    """`current` with what is given in place of its own."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _RANGES:
            raise RefusedError(f"unknown threshold {name!r}")
        field, low, high = _RANGES[name]
        try:
            number = float(value)
        except (ValueError, TypeError):
            number = -1.0
        if not low <= number <= high:
            raise RefusedError(f"{name} must be from {low} to {high}")
        changes[field] = int(number) if field == "timeout_ms" else number
    thresholds = replace(current, **changes)
    if thresholds.eager is not None and thresholds.eager > thresholds.eot:
        raise RefusedError("eager_eot_threshold must not be above eot_threshold")
    return thresholds
