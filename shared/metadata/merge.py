"""Metadata of a call from its three places: job over room over participant, each field with its source.

LiveKit puts what a dispatch says into the job, what a server API says into the room, and what a token or a caller says into the
participant. A participant may set only fields marked `FromCaller`. Room or participant metadata that is another app's is
ignored with a note. Keys under `sb.` are ours and no metadata. It is done in two steps: at once from the job, and again when the caller is
in the room; what the caller may still bring is no error in the first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

from shared.errors import MetadataError, Problem
from shared.metadata.contract import NO_COUNTRY, CallMetadata, without_required
from shared.metadata.marks import NOBODY, FromCaller, marked
from shared.metadata.parse import check_metadata, parse_object, refusal, unknown_keys
from shared.metadata.sip import NUMBER, called_from, sip_fields

RESERVED = "sb."
"""Prefix of our own dispatch attributes: never metadata, never from a participant."""

M = TypeVar("M", bound=CallMetadata)
M_co = TypeVar("M_co", bound=CallMetadata, covariant=True)


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
class Caller:
    """The participant who is the caller, as LiveKit shows it.

    Attributes:
        identity: Empty where nobody came and none is waited for any more.
        is_sip: Whether LiveKit says it came by SIP: only then `sip.*` counts.
    """

    identity: str
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    is_sip: bool = False


@dataclass(frozen=True)
class Loaded(Generic[M_co]):
    """The metadata of a call, where each field came from, and what was left out on the way.

    Attributes:
        unknown: What the job says that the contract does not know: kept for the record.
        missing: What the contract asks for and nobody gave, or not yet; those fields are `None`.
        notes: Sentences for the log, without values.
    """

    metadata: M_co
    sources: Mapping[str, Source]
    unknown: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing_fields(self) -> tuple[str, ...]:
        """The names of the fields in `missing`."""
        return tuple(dict.fromkeys(filter(None, map(_field_of, self.missing))))


@dataclass
class _Gathered:
    """What the sources said so far; the first source of a field wins."""

    model: type[CallMetadata]
    fields: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    unknown: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def offer(self, source: Source, fields: Mapping[str, Any]) -> None:
        """Take the known fields of `source` that no source before it has given."""
        for key, value in fields.items():
            if key not in self.model.model_fields or key in self.fields or value in (None, ""):
                continue
            self.fields[key] = value
            self.sources[key] = source

    def drop(self, fields: Iterable[str]) -> None:
        for name in fields:
            self.fields.pop(name, None)
            self.sources.pop(name, None)


def load(
    model: type[M],
    *,
    job: str = "",
    job_attributes: Mapping[str, str] | None = None,
    room: str = "",
    caller: Caller | None = None,
    strict: bool = False,
    degrade: bool = False,
) -> Loaded[M]:
    """Merge what is known of a call into its agent's contract.

    Call it when the job is offered, with no caller, and again when the caller is in the room. Where no source gives a `user_id` it is
    derived: `sip:<number>`, else the participant's identity, else `unknown`. A field `sip_trunk_phone_number` of a contract is LiveKit's
    attribute `sip.trunkPhoneNumber`, and so for every other one.

    Args:
        model: The agent's contract.
        job: The job's metadata; empty for an automatic dispatch.
        job_attributes: The job's attributes; those named like a field count, after the metadata.
        room: The room's metadata.
        caller: Who calls; `None` while nobody is in the room, and then what a caller may still bring is not refused.
        strict: Refuse unknown keys in the job's metadata instead of leaving them out with a note.
        degrade: Leave out what does not fit instead of refusing it, as `policy.on_misfit` says.

    Raises:
        MetadataError: The job's metadata cannot be read, or what was gathered does not fit `model`. Quotes no value.
    """
    got = _Gathered(model)
    missing = _take_job(got, job, job_attributes or {}, strict=strict, degrade=degrade)
    number = None
    lower = _Lower(got)
    lower.read(Source.ROOM, room, None)
    if caller is not None:
        open_fields = marked(model, FromCaller)
        lower.read(Source.PARTICIPANT, caller.metadata, open_fields)
        lower.found.append((Source.PARTICIPANT_ATTRIBUTES, caller.attributes, open_fields))
        if caller.is_sip:
            number = called_from(caller.attributes)
            sip = sip_fields(model.model_fields, caller.attributes) | {"user_phone": number}
            lower.found.append((Source.SIP, sip, None))
            if caller.attributes.get(NUMBER) and number is None:
                got.notes.append("sip attributes: the number is withheld or not a phone number")
        elif NUMBER in caller.attributes:
            got.notes.append("sip attributes ignored: the participant did not come by SIP")
    lower.take_all()
    derived = {"user_id": _derived_id(number, caller)}
    got.offer(Source.DERIVED, derived)
    try:
        metadata = check_metadata(got.fields, model)
    except MetadataError as err:
        why = _explained(err.problems, job=job, room=room, caller=caller)
        refused = [one for one in why if not degrade and not _may_still_come(one, model, caller)]
        if refused:
            raise refusal(model, refused) from None
        missing += why
        got.drop(map(_field_of, why))
        got.offer(Source.DERIVED, derived)
        metadata = check_metadata(got.fields, without_required(model))
    defaults = dict.fromkeys(set(model.model_fields) - set(got.fields), Source.DEFAULT)
    return Loaded(
        metadata, {**got.sources, **defaults}, got.unknown, tuple(missing), tuple(got.notes)
    )


def _take_job(
    got: _Gathered, job: str, attributes: Mapping[str, str], *, strict: bool, degrade: bool
) -> list[Problem]:
    """Take what the dispatch says; what is wrong with the whole of it, where that is no refusal."""
    problems: list[Problem] = []
    if job.strip():
        try:
            fields = parse_object(job, got.model)
        except MetadataError as err:
            if not degrade:
                raise
            fields = {}
            problems += err.problems
        unknown = unknown_keys(fields, got.model)
        if unknown and strict:
            raise refusal(got.model, unknown)
        got.notes += [f"job metadata: {problem} (left out)" for problem in unknown]
        got.unknown |= {key: fields[key] for key in fields if key not in got.model.model_fields}
        got.offer(Source.JOB, fields)
    else:
        got.notes.append(_NO_JOB)
    got.offer(Source.JOB_ATTRIBUTES, attributes)
    return problems


@dataclass
class _Lower:
    """Sources below the job: they may be another app's, so what does not fit is left out and never an error.

    Attributes:
        found: Source, what it says, and the fields it may set, `None` for all; the most trusted first.
    """

    got: _Gathered
    found: list[tuple[Source, Mapping[str, Any], frozenset[str] | None]] = field(
        default_factory=list
    )

    def read(self, source: Source, raw: str, open_fields: frozenset[str] | None) -> None:
        """Read a JSON source."""
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
        self.found.append((source, fields, open_fields))

    def take_all(self) -> None:
        """Take what fits. The locale comes first: numbers are read with it, whichever source gave them."""
        for source, fields, open_fields in self.found:
            self._take(source, {"locale": fields.get("locale")}, open_fields)
        for source, fields, open_fields in self.found:
            rest = {key: value for key, value in fields.items() if key != "locale"}
            self._take(source, rest, open_fields)

    def _take(
        self, source: Source, fields: Mapping[str, Any], open_fields: frozenset[str] | None
    ) -> None:
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
        locale = self.got.fields.get("locale")
        try:
            check_metadata({"user_id": "-", "locale": locale, key: value}, self.got.model)
        except MetadataError as err:
            mine = [problem for problem in err.problems if _field_of(problem) == key]
            return mine[0].text if mine else None
        return None


_NO_JOB = "job metadata is empty: an automatic dispatch, or one without metadata"
_NO_ROOM = "room metadata is empty: nobody set it, or the room already existed, whose metadata stays as it was"
_NO_CALLER = "no caller is in the room yet"


def _explained(
    problems: Iterable[Problem], *, job: str, room: str, caller: Caller | None
) -> list[Problem]:
    """A missing field says which sources were empty, and the usual reason: what somebody who misses it looks for."""
    reasons = [_NO_JOB] if not job.strip() else []
    reasons += [_NO_ROOM] if not room.strip() else []
    reasons += [_NO_CALLER] if caller is None or not caller.identity else []
    return [
        replace(problem, text=f"{problem.text} ({'; '.join(reasons)})")
        if reasons and problem.code == "metadata.missing"
        else problem
        for problem in problems
    ]


def _may_still_come(problem: Problem, model: type[CallMetadata], caller: Caller | None) -> bool:
    """Whether a caller who is not there yet may set it right."""
    if caller is not None:
        return False
    open_fields = marked(model, FromCaller)
    if problem.code == f"metadata.{NO_COUNTRY}":
        return "locale" in open_fields
    return problem.code == "metadata.missing" and _field_of(problem) in open_fields


def _field_of(problem: Problem) -> str:
    return problem.pointer.split("/")[1] if problem.pointer else ""


def _derived_id(number: str | None, caller: Caller | None) -> str:
    if number:
        return f"sip:{number}"
    return (caller.identity.strip() if caller else "") or NOBODY
