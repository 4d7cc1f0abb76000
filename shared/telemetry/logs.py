"""One log pipeline for structlog and for LiveKit's own lines, in hosts, jobs and every other process of ours.

structlog hands each event to the standard library, its fields as `extra`. Only the process that owns the terminal has a root
handler: it makes JSON or readable lines on stderr. A job has none of its own: LiveKit pickles its records and hands them to the
host, which stamps `pid job_id room room_id agent_name` on them (so do not bind those names).

Every record passes a filter before it leaves its process: the personal values of the call are taken out of message, fields and
traceback, what cannot be pickled becomes text, and the fields of the call are put on.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from shared.telemetry.redaction import MARK, NOTHING, HostCalls, Redactor, is_sensitive, plain

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TAKEN = _STANDARD | {
    "pid",
    "job_id",
    "room",
    "room_id",
    "agent_name",
    "level",
    "logger",
    "timestamp",
}
_IDS = frozenset({"pid", "job_id", "room_id", "agent_name", "agent", "dispatch", "digest"})
"""Ours or LiveKit's, and never personal. A call id may be the dispatcher's own key, so it is not among them."""

_QUIET = (
    "livekit",
    "openai",
    "httpx",
    "httpcore",
    "websockets",
    "asyncio",
    "aiohttp.access",
    "urllib3",
    "hpack",
)
"""Loggers that say much about every request, or whole conversations, below a warning."""

_LOUD = ("livekit.agents", "livekit.plugins")


class _CallFilter(logging.Filter):
    """Cleans the records of a process that serves one call at most."""

    def __init__(self) -> None:
        super().__init__()
        self.redactor = NOTHING
        self.fields: Mapping[str, str] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        _clean(record, self.redactor, self.fields)
        return True


class _HostFilter(logging.Filter):
    """Cleans the records of a host: its own, LiveKit's about a job, and those that jobs sent."""

    def __init__(self, calls: HostCalls) -> None:
        super().__init__()
        self._calls = calls

    def filter(self, record: logging.LogRecord) -> bool:
        # Only by its own call: another caller's words must not blot out why this one was refused.
        call = self._calls.find(
            job_id=getattr(record, "job_id", None), call_id=getattr(record, "call_id", None)
        )
        if call is not None:
            _clean(record, *call)
            return True
        if hasattr(record, "room"):
            record.room = MARK  # its name may be the caller's: nobody has looked yet
        _clean(record, NOTHING, {})
        for redactor in self._calls.redactors():
            _clean(record, redactor, {})
        return True


_call = _CallFilter()


def configure_host(*, json: bool, level: str = "INFO", calls: HostCalls | None = None) -> HostCalls:
    """Set logging up in a host. Tell the result about each job that is offered, before anything is logged about it."""
    calls = calls or HostCalls()
    _configure(level)
    _install(json=json, log_filter=_HostFilter(calls))
    return calls


def configure_process(*, json: bool, level: str = "INFO") -> None:
    """Set logging up in any other process that owns its stderr: stand-ins, supervisor, caller."""
    _configure(level)
    _install(json=json, log_filter=_call)


def configure_job(*, level: str = "INFO") -> None:
    """Set logging up in a job process, from its `setup_fnc`: LiveKit's queue to the host is the only handler there."""
    _configure(level)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_call)


def bind_call(redactor: Redactor, *, call_id: str, agent: str, dispatch: str, digest: str) -> None:
    """From now on every line of this process bears these fields and none of the redactor's values.

    The process serves one call, so this holds for all its tasks and threads, LiveKit's too.
    """
    _call.redactor = redactor
    _call.fields = {"call_id": call_id, "agent": agent, "dispatch": dispatch, "digest": digest}


def _configure(level: str) -> None:
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _rename_taken,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.getLogger().setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in _LOUD:
        logging.getLogger(name).setLevel(number)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value, args.exc_traceback
    )
    sys.unraisablehook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value, args.exc_traceback
    )


def _install(*, json: bool, log_filter: logging.Filter) -> None:
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.name = "switchboard"
    handler.addFilter(log_filter)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_from_record],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for before in [old for old in root.handlers if old.name == handler.name]:
        root.removeHandler(before)
    root.addHandler(handler)


def _log_uncaught(kind: Any, error: Any, trace: Any) -> None:
    if kind is not None and issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("switchboard").critical("uncaught exception", exc_info=(kind, error, trace))


def _rename_taken(_: Any, __: str, event: EventDict) -> EventDict:
    """A field under a name that the record itself or LiveKit uses gets an underscore instead of breaking the line."""
    for key in _TAKEN & event.keys():
        if key not in ("exc_info", "stack_info"):
            event[f"{key}_"] = event.pop(key)
    return event


def _from_record(_: Any, __: str, event: EventDict) -> EventDict:
    """The event of a record, own or from a job: when it was made, not when it arrived."""
    record: logging.LogRecord = event["_record"]
    made = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    agent = fields.pop("agent_name", None)
    if agent:
        fields.setdefault("agent", agent)
    return {
        "timestamp": made.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": event["event"],
        "logger": record.name,
        **fields,
        "_record": record,
        "_from_structlog": False,
    }


def _clean(record: logging.LogRecord, redactor: Redactor, fields: Mapping[str, str]) -> None:
    """Make a record safe to leave the process, in place. What goes wrong here must neither reach who logs nor let the record out."""
    try:
        _redact(record, redactor)
    except Exception as err:
        for key in vars(record).keys() - _STANDARD:
            delattr(record, key)
        record.msg, record.args = "log line left out, it could not be redacted", None
        record.exc_info = record.exc_text = record.stack_info = None
        record.reason = type(err).__name__
    for key, value in fields.items():
        if not hasattr(record, key):
            setattr(record, key, value if key in _IDS else redactor.text(value))


def _redact(record: logging.LogRecord, redactor: Redactor) -> None:
    try:
        message = record.getMessage()
    except Exception:  # wrong arguments for its format
        message = str(record.msg)
    record.msg, record.args = redactor.text(message), None
    if record.exc_info:
        if record.exc_info[1] is not None:
            record.exception = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        record.exc_info = None
    record.exc_text = None  # `exception` has it
    record.stack_info = redactor.text(record.stack_info) if record.stack_info else None
    for key, value in list(vars(record).items()):
        if key in _STANDARD:
            continue
        vars(record)[key] = (
            MARK if is_sensitive(key) else plain(value, NOTHING if key in _IDS else redactor)
        )
