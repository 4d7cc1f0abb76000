"""Deepgram's streaming `/v1/listen` (Nova), as its plugin, its SDK and its documents know it.

A pause of `endpointing` milliseconds ends an utterance, whatever was said. `keyterm`, `redact` and the like are accepted and change
nothing. There is no form for recordings: LiveKit's sessions stream.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web

from shared.local import deepgram
from shared.local.deepgram import CONFIDENCE, RefusedError, Stream
from shared.local.listener import TurnEvent
from shared.local.turns import Thresholds
from shared.local.utterance import Word

log = structlog.get_logger(__name__)

_FLAGS = (
    "interim_results", "punctuate", "smart_format", "vad_events", "no_delay", "filler_words", "profanity_filter",
    "numerals", "mip_opt_out", "diarize", "dictation",
)  # fmt: skip
_PARAMETERS = {
    "model", "language", "encoding", "sample_rate", "channels", "endpointing", "utterance_end_ms",
    "keyterm", "keywords", "redact", "replace", "search", "tag", *_FLAGS,
}  # fmt: skip
_ENDPOINTING_MS = 10
_SEGMENT_MS = 1000
"""Silence after which text is final where no pause is an end."""
_NEVER = 1.0
_FRAMING = re.compile(r"^\W+|\W+$")


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/listen", _listen)


async def _listen(request: web.Request) -> web.StreamResponse:
    return await deepgram.serve(request, _Nova)


class _Nova(Stream):
    """Utterances, ended by silence alone."""

    idle_s = 10.0

    def __init__(self, request: web.Request, request_id: str) -> None:
        super().__init__(request, request_id)
        self._heard = hashlib.sha256()
        self._gap_from: float | None = None
        """End of the last final word, until the gap after it is reported."""

    def read(self, query: Mapping[str, str]) -> tuple[int, Thresholds]:
        deepgram.check_names(query, _PARAMETERS)
        flags = {name: deepgram.read_flag(query, name) for name in _FLAGS}
        self._model = deepgram.read_model(query, "nova-")
        self._interim, self._vad_events = flags["interim_results"], flags["vad_events"]
        self._punctuated = flags["punctuate"] or flags["smart_format"]
        if not query.get("language", "en").startswith("en"):
            log.warning("only English is recognised here", language=query["language"])
        if query.get("channels", "1") != "1":
            raise RefusedError("this stand-in takes one channel")
        self._utterance_end_s: float | None = None
        if "utterance_end_ms" in query:
            if not self._interim:
                raise RefusedError("utterance_end_ms needs interim_results=true")
            self._utterance_end_s = (
                deepgram.read_number(query, "utterance_end_ms", 1000, 5000) / 1000
            )
        pause_ms: int | None = _ENDPOINTING_MS
        if query.get("endpointing", "").lower() == "false":
            pause_ms = None
        elif query.get("endpointing", "true").lower() != "true":
            pause_ms = deepgram.read_number(query, "endpointing", 0, 60000)
        self._endpointing = pause_ms is not None
        thresholds = Thresholds(
            eot=_NEVER, timeout_ms=_SEGMENT_MS if pause_ms is None else pause_ms
        )
        return deepgram.read_rate(query), thresholds

    async def greet(self) -> None:
        """Nova says nothing until it hears something."""

    async def hear(self, data: bytes) -> None:
        self._heard.update(data)
        await super().hear(data)
        gap_s = self._utterance_end_s
        if gap_s is None or self._gap_from is None or self.listener.in_turn:
            return
        if self.listener.position_s - self._gap_from >= gap_s:
            await self.send(type="UtteranceEnd", channel=[0, 1], last_word_end=self._gap_from)
            self._gap_from = None

    async def complain(self) -> None:
        """Nova says so and goes on."""
        await self.send(type="Error", variant="InternalError", description="On order.")

    async def obey(self, kind: object, message: Mapping[str, Any]) -> bool:
        if kind == "CloseStream":
            await self.hear_rest()
            await self.listener.end_turn()
            await self._sum_up()
            return False
        if kind == "Finalize":
            await self.listener.end_turn()
        elif kind != "KeepAlive":
            await self.send(
                type="Error", variant="SchemaError", description="Not a message of a known type."
            )
        return True

    async def report(self, turn: TurnEvent) -> None:
        if turn.event == "StartOfTurn":
            self._gap_from = None
            if self._vad_events:
                await self.send(
                    type="SpeechStarted", channel=[0], timestamp=round(turn.words[0].start, 3)
                )
        final = turn.event == "EndOfTurn"
        if not final and not self._interim:
            return
        if final:
            self._gap_from = turn.words[-1].end
        by_client = turn.trigger == "manual"
        await self.send(
            type="Results",
            channel_index=[0, 1],
            start=round(turn.start, 3),
            duration=round(turn.end - turn.start, 3),
            is_final=final,
            speech_final=final and (self._endpointing or by_client),
            from_finalize=by_client,
            channel={"alternatives": [self._alternative(turn)]},
            metadata={
                "request_id": self.request_id,
                "model_info": {"name": self._model, "version": "stand-in", "arch": self._model},
                "model_uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, self._model)),
            },
        )

    def _alternative(self, turn: TurnEvent) -> dict[str, Any]:
        words = [self._word(word) for word in turn.words]
        shown = "punctuated_word" if self._punctuated else "word"
        text = " ".join(word[shown] for word in words)
        return {"transcript": text, "confidence": CONFIDENCE, "words": words}

    def _word(self, word: Word) -> dict[str, Any]:
        bare = _FRAMING.sub("", word.text).lower() or word.text
        shown = {"word": bare, "start": word.start, "end": word.end, "confidence": CONFIDENCE}
        return {**shown, "punctuated_word": word.text} if self._punctuated else shown

    async def _sum_up(self) -> None:
        await self.send(
            type="Metadata",
            transaction_key="deprecated",
            request_id=self.request_id,
            sha256=self._heard.hexdigest(),
            created=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration=round(self.listener.position_s, 3),
            channels=1,
        )
