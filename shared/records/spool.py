"""The record of a call: one JSON line per event, written at once, in a file of its own.

A file belongs to one call, attempt and writing process, which holds its lock; `seq` counts from 0 and is unique within it. A host
brings files into the store (`ingest.py`) and removes them an hour after their end. A line is

    {"v": 1, "seq": 3, "at": "2030-01-31T09:30:00.123Z", "call_id": …, "attempt": 1, "event": "turn", "data": {…}}

and these are the events, with what `data` holds:

    requested    ref, agent, room, metadata                   a frontend asked for it; its token holds `ref` only
    declined     agent, dispatch_id, code                     a host has no room for it and leaves it to others
    refused      agent, dispatch_id, room, code, reason       what it says does not fit; no host will take it
    offered      agent, dispatch_id, room, host, digest,      a host took the job
                 metadata, unknown (keys that the contract does not know)
    joined       agent, pid, digest, sources, missing         the agent is in the room
    caller       metadata, sources, missing                   the caller is there, with what it brought
    reply        text                                         the agent begins to say it
    turn         role (caller | agent), text                  a turn as it is final; the agent's was heard
    tool_started tool, tool_call, arguments                   a tool is about to act
    tool_result  tool, tool_call, arguments, result, is_error a tool has answered
    intake       name, callback_number, reason                intake saved what it took
    message      name, callback_number, message               support took a message
    handoff      to, by (session | dispatch), metadata        another agent takes the session over, or is sent for
    recovering   why                                          its agent was lost; another attempt is on its way
    superseded                                                another attempt has taken this one's place
    ending       outcome, text                                the agent begins its last sentence; after it the call ends so
    outcome      outcome, code                                how it ended

Personal data belongs here, that is what a record is for, and so nobody but the owner may read the folder. It belongs in no log.
"""

import contextlib
import fcntl
import hashlib
import heapq
import json
import os
import re
import secrets
import threading
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from shared.errors import SwitchboardError

VERSION = 1

Outcome = Literal["completed", "message_taken", "abandoned", "failed", "refused"]

_NAME_LIMIT = 80


@dataclass(frozen=True)
class Event:
    """One line of a record."""

    v: int
    seq: int
    at: datetime
    call_id: str
    attempt: int
    event: str
    data: Mapping[str, Any]

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        told = ("call_id", "attempt", "at", "event", "data")
        return {name: getattr(self, name) for name in told}


class Spool:
    """The open record of one call. Make it with `open`."""

    def __init__(self, path: Path, fd: int, call_id: str, attempt: int) -> None:
        self.path = path
        self.call_id = call_id
        self.attempt = attempt
        self._fd = fd
        self._seq = 0
        self._size = 0
        self._lock = threading.Lock()

    @staticmethod
    def open(folder: Path, *, call_id: str, attempt: int = 1) -> "Spool":
        """Start a file for this call in `folder`, which is made where it is missing.

        Raises:
            OSError: The folder or the file cannot be made.
        """
        writer = f"{os.getpid()}-{secrets.token_hex(4)}"
        path = folder / f"{_file_name(call_id)}.{attempt}.{writer}.jsonl"
        try:
            fd = _create(path)
        except FileNotFoundError:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = _create(path)
        fcntl.flock(fd, fcntl.LOCK_EX)  # until it is closed, or the process has ended
        return Spool(path, fd, call_id, attempt)

    def append(self, event: str, **fields: Any) -> int:
        """Write one event; its `seq`. When this returns the kernel has it: it survives the end of this process.

        Raises:
            OSError: The disk refused it; the file is as before.
        """
        at = datetime.now(UTC)
        with self._lock:
            blob = dump(Event(VERSION, self._seq, at, self.call_id, self.attempt, event, fields))
            if os.write(self._fd, blob) != len(blob):
                os.ftruncate(self._fd, self._size)  # half a line would spoil the next one
                raise OSError(f"{self.path}: an event could not be written whole")
            self._size += len(blob)
            self._seq += 1
            return self._seq - 1

    def close(self) -> None:
        """Close the file. Every event is written already."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


class Reads(Protocol):
    """Where what became of calls is read."""

    @property
    def version(self) -> int:
        """Another one once something may have been written by others."""

    async def of(self, call_id: str) -> list[Event]:
        """All events of a call that are known here, in the order of time."""

    def listening(self) -> AbstractAsyncContextManager[None]:
        """While this is open, `version` tells of what other machines write too."""


class Files:
    """The files of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def version(self) -> int:
        """What a host says of a dispatch that it does not take begins a file."""
        return self._folder.stat().st_mtime_ns if self._folder.exists() else 0

    async def of(self, call_id: str) -> list[Event]:
        """All events of a call in these files."""
        return read_call(self._folder, call_id)

    def listening(self) -> AbstractAsyncContextManager[None]:
        """Whoever writes, writes here."""
        return contextlib.nullcontext()


def read(path: Path) -> list[Event]:
    """All events of one file, without a last line that a dying process left half written.

    Raises:
        SwitchboardError: A line before the last is no event; names file and line.
    """
    lines = path.read_bytes().split(b"\n")
    whole, torn = lines[:-1], lines[-1]
    events = []
    for number, line in enumerate(whole, start=1):
        try:
            events.append(parse(line))
        except (ValueError, KeyError, TypeError) as err:
            raise SwitchboardError(f"{path}:{number}: not an event", code="record.invalid") from err
    if torn:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            events.append(parse(torn))
    return events


def read_call(folder: Path, call_id: str) -> list[Event]:
    """All events of a call from all its attempts and writers, in the order of time."""
    begin = f"{_file_name(call_id)}."
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(begin))
    except FileNotFoundError:
        return []
    calls = (read(folder / name) for name in names if name.endswith(".jsonl"))
    return list(heapq.merge(*calls, key=lambda event: event.at))


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def is_open(fd: int) -> bool:
    """Whether the process that writes a file is alive and has not closed it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def dump(event: Event) -> bytes:
    """The line of an event; `parse` reads it."""
    at = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {**vars(event), "at": at}
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:  # half characters: valid in a JSON escape only
        text = json.dumps(line, separators=(",", ":"), default=str)
        return f"{text}\n".encode()


def parse(line: bytes) -> Event:
    """The event of one line.

    Raises:
        ValueError, KeyError, TypeError: It is none.
    """
    raw = json.loads(line, parse_constant=str)  # NaN is no JSON for anybody else
    return Event(
        v=raw["v"],
        seq=raw["seq"],
        at=datetime.fromisoformat(raw["at"]),
        call_id=raw["call_id"],
        attempt=raw["attempt"],
        event=raw["event"],
        data=raw["data"],
    )


def _file_name(call_id: str) -> str:
    """The call id where it is a safe file name, else a safe one that stays its own."""
    if re.fullmatch(rf"[A-Za-z0-9_-]{{1,{_NAME_LIMIT}}}", call_id):
        return call_id
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", call_id)[: _NAME_LIMIT - 17]
    return f"{safe}-{hashlib.sha256(call_id.encode(errors='surrogatepass')).hexdigest()[:16]}"
