"""Metadata of a call from its three places: job over room over participant, each field with its source.

LiveKit puts what a dispatch says into the job, what a server API says into the room, and what a token or a caller says into the
participant. A participant may set only fields marked `FromCaller`. Room or participant metadata that is another app's is
ignored with a note. Keys under `sb.` are ours and no metadata.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

from shared.errors import MetadataError, Problem
from shared.metadata.contract import CallMetadata
from shared.metadata.marks import NOBODY, FromCaller, marked
from shared.metadata.parse import check_metadata, parse_object, refusal, unknown_keys
from shared.metadata.phone import to_e164

RESERVED = "sb."
"""Prefix of our own dispatch attributes (key, attempt): never metadata, never from a participant."""

_NO_JOB = "job metadata is empty: an automatic dispatch, or one without metadata"

SIP_NUMBER = "sip.phoneNumber"

M = TypeVar("M", bound=CallMetadata)


class Source(StrEnum):
    """Where the value of a field came from."""

    JOB = "job metadata"
    JOB_ATTRIBUTES = "job attributes"
    ROOM = "room metadata"
    PARTICIPANT = "participant metadata"
    PARTICIPANT_ATTRIBUTES = "participant attributes"
    SIP = "sip attributes"
    DERIVED = "derived"
    DEFAULT = "default"


@dataclass(frozen=True)
class Loaded(Generic[M]):
    """The metadata of a call, where each field came from, and what was left out on the way.

    Attributes:
        notes: Sentences for the log, without values.
    """

    metadata: M
    sources: Mapping[str, Source]
    notes: tuple[str, ...] = ()


@dataclass
class _Gathered:
    """What the sources said so far; the first source of a field wins."""

    model: type[CallMetadata]
    fields: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def offer(self, source: Source, fields: Mapping[str, Any]) -> None:
        """Take the known fields of `source` that no source before it has given."""
        for key, value in fields.items():
            if key not in self.model.model_fields or key in self.fields or value in (None, ""):
                continue
            self.fields[key] = value
            self.sources[key] = source


def load(
    model: type[M],
    *,
    job: str = "",
    job_attributes: Mapping[str, str] | None = None,
    room: str = "",
    participant_metadata: str = "",
    participant_attributes: Mapping[str, str] | None = None,
    participant_identity: str = "",
    participant_is_sip: bool = False,
    strict: bool = False,
) -> Loaded[M]:
    """Merge what is known of a call into its agent's contract.

    Call it when the job is offered, with no participant, and again when the caller is in the room. Where no source gives a
    `user_id` it is derived: `sip:<number>`, else the participant's identity, else `unknown`.

    Args:
        model: The agent's contract.
        job: The job's metadata; empty for an automatic dispatch.
        job_attributes: The job's attributes; those named like a field count, after the metadata.
        room: The room's metadata.
        participant_metadata: The caller's metadata.
        participant_attributes: The caller's attributes.
        participant_identity: The caller's identity, empty while no caller is in the room.
        participant_is_sip: Whether LiveKit says the caller is a SIP participant: only then `sip.*` counts.
        strict: Refuse unknown keys in the job's metadata instead of leaving them out with a note.

    Raises:
        MetadataError: The job's metadata cannot be read, or what was gathered does not fit `model`. Quotes no value.
    """
    got = _Gathered(model)
    _take_job(got, job, job_attributes or {}, strict=strict)
    foreign = _Lower(got)
    foreign.take(Source.ROOM, room, None)
    open_fields = marked(model, FromCaller)
    foreign.take(Source.PARTICIPANT, participant_metadata, open_fields)
    attributes = participant_attributes or {}
    foreign.offer(Source.PARTICIPANT_ATTRIBUTES, attributes, open_fields)
    number = _sip_number(got, attributes, is_sip=participant_is_sip)
    if number:
        got.offer(Source.SIP, {"user_phone": number})
    got.offer(Source.DERIVED, {"user_id": _derived_id(number, participant_identity)})
    try:
        metadata = check_metadata(got.fields, model)
    except MetadataError as err:
        empty = _empty_sources(job=job, room=room, identity=participant_identity)
        raise refusal(model, [_explained(problem, empty) for problem in err.problems]) from None
    defaults = dict.fromkeys(set(model.model_fields) - set(got.fields), Source.DEFAULT)
    return Loaded(metadata, {**got.sources, **defaults}, tuple(got.notes))


def _take_job(got: _Gathered, job: str, attributes: Mapping[str, str], *, strict: bool) -> None:
    if job.strip():
        fields = parse_object(job, got.model)
        unknown = unknown_keys(fields, got.model)
        if unknown and strict:
            raise refusal(got.model, unknown)
        got.notes += [f"job metadata: {problem} (left out)" for problem in unknown]
        got.offer(Source.JOB, fields)
    else:
        got.notes.append(_NO_JOB)
    got.offer(Source.JOB_ATTRIBUTES, attributes)


@dataclass
class _Lower:
    """Sources below the job: they may be another app's, so what does not fit is left out and never an error."""

    got: _Gathered

    def take(self, source: Source, raw: str, open_fields: frozenset[str] | None) -> None:
        """Take the fields of a JSON source; `open_fields` are those it may set, `None` for all."""
        if not raw.strip():
            return
        try:
            fields = parse_object(raw, self.got.model)
        except MetadataError as err:
            self.got.notes.append(f"{source} ignored: {err.problems[0].text}")
            return
        if not fields.keys() & self.got.model.model_fields.keys():
            self.got.notes.append(
                f"{source} ignored: it has none of our fields, so it is another app's"
            )
            return
        self.offer(source, fields, open_fields)

    def offer(
        self, source: Source, fields: Mapping[str, Any], open_fields: frozenset[str] | None
    ) -> None:
        """Take the fields that this source may set and that fit."""
        for key, value in fields.items():
            if key not in self.got.model.model_fields or value in (None, ""):
                continue
            if open_fields is not None and key not in open_fields:
                self.got.notes.append(f"{source}: /{key} ignored, a participant may not set it")
            elif key not in self.got.fields and (why := self._misfit(key, value)):
                self.got.notes.append(f"{source}: /{key} ignored, {why}")
            else:
                self.got.offer(source, {key: value})

    def _misfit(self, key: str, value: Any) -> str | None:
        """Why this one value does not fit the contract, or `None`."""
        model = self.got.model
        try:
            check_metadata({"user_id": "-", key: value}, model)
        except MetadataError as err:
            mine = [problem for problem in err.problems if _field_of(problem) == key]
            return mine[0].text if mine else None
        return None


def _field_of(problem: Problem) -> str:
    return problem.pointer.split("/")[1] if problem.pointer else ""


def _empty_sources(*, job: str, room: str, identity: str) -> str:
    """Which sources said nothing, and the usual reason: what somebody with a missing field looks for."""
    empty = []
    if not job.strip():
        empty.append(_NO_JOB)
    if not room.strip():
        empty.append("room metadata is empty")
    if not identity:
        empty.append("no caller is in the room yet")
    return ", ".join(empty)


def _explained(problem: Problem, empty: str) -> Problem:
    if problem.code != "metadata.missing" or not empty:
        return problem
    return replace(problem, text=f"{problem.text} ({empty})")


def _sip_number(got: _Gathered, attributes: Mapping[str, str], *, is_sip: bool) -> str | None:
    number = attributes.get(SIP_NUMBER)
    if not number:
        return None
    if not is_sip:
        got.notes.append("sip attributes ignored: the participant did not come by SIP")
        return None
    e164 = to_e164(number) or to_e164(f"+{number}")
    if e164 is None:
        got.notes.append("sip attributes: the number is withheld or not a phone number")
    return e164


def _derived_id(number: str | None, identity: str) -> str:
    return f"sip:{number}" if number else identity.strip() or NOBODY
