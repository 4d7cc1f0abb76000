"""From files to the store: whoever holds the folder's lock brings in what every process of this machine writes.

A batch of events and how far each file was read are one transaction, and an event has a key of its own: however this ends, nothing is
lost and nothing is there twice. What a dying process left of a last line was never answered for, and stays out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from shared.records.calls import text
from shared.records.spool import Event, is_open, parse
from shared.records.store import Line, Store

KEEP_S = 3600.0
"""How long a file stays after its end: until then recoveries and dispatchers read it without the store."""

BATCH = 500
"""Events of one transaction."""

_SETTLED_S = 1.0
"""A file that is not open and has not grown for so long is at its end; one that was made just now may not be locked yet."""
_TICK_NS = 100_000_000

log = structlog.get_logger(__name__)


@dataclass
class Ingester:
    """Brings one folder's files into a store. Make it with `alone`."""

    folder: Path
    store: Store
    _read: dict[str, int] = field(default_factory=dict)
    _over: dict[str, float] = field(default_factory=dict)
    _seen_ns: int = 0
    _names: list[str] = field(default_factory=list)

    @staticmethod
    @contextlib.contextmanager
    def alone(folder: Path, store: Store) -> Iterator[Ingester | None]:
        """Be the only one of this folder; `None` while somebody else is. The lock ends with this process, however it ends."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield Ingester(folder, store, _read=store.read_so_far())
        finally:
            os.close(fd)

    def ingest(self) -> int:
        """Bring in what is new; how many events that was.

        Raises:
            SQLAlchemyError: The store does not take them. Nothing is lost: the next call begins where this one did.
        """
        added = 0
        lines: list[Line] = []
        read: dict[str, int] = {}
        for name in self._growing():
            size, found = self._rest_of(name)
            if size > self._read.get(name, 0):
                lines += found
                read[name] = size
            if len(lines) >= BATCH:
                added += self._add(lines, read)
        return added + self._add(lines, read)

    def tidy(self) -> None:
        """Remove the files that ended an hour ago."""
        now = time.time()
        gone = [name for name, ended in self._over.items() if now - ended > KEEP_S]
        if gone:
            self.store.forget(gone)
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
            del self._over[name]
            self._read.pop(name, None)

    def _add(self, lines: list[Line], read: dict[str, int]) -> int:
        if not read:
            return 0
        self.store.add(lines, read)
        self._read |= read
        count = len(lines)
        lines.clear()
        read.clear()
        return count

    def _growing(self) -> list[str]:
        """The files that are not at their end."""
        changed_ns = self.folder.stat().st_mtime_ns
        if changed_ns != self._seen_ns:
            self._names = [
                name
                for name in os.listdir(self.folder)
                if name.endswith(".jsonl") and name not in self._over
            ]
            # a file that is made in the same tick of the file system's clock would not show
            settled = time.time_ns() - changed_ns > _TICK_NS
            self._seen_ns = changed_ns if settled else 0
        return self._names

    def _rest_of(self, name: str) -> tuple[int, list[Line]]:
        """How far a file goes in whole lines, and the events that the store does not have."""
        begin = self._read.get(name, 0)
        try:
            fd = os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return begin, []
        try:
            stat = os.fstat(fd)
            rest = os.pread(fd, max(stat.st_size - begin, 0), begin)
            whole = rest.rfind(b"\n") + 1
            if not whole and time.time() - stat.st_mtime > _SETTLED_S and not is_open(fd):
                self._over[name] = stat.st_mtime
                self._names = [one for one in self._names if one != name]
        finally:
            os.close(fd)
        return begin + whole, list(_lines(name, rest[:whole]))


def _lines(name: str, whole: bytes) -> Iterator[Line]:
    writer = name.removesuffix(".jsonl").rpartition(".")[2]
    for line in whole.split(b"\n")[:-1]:
        try:
            yield Line(writer, _storable(parse(line)))
        except (ValueError, KeyError, TypeError, RecursionError):
            log.error("a line of a record is no event; it stays out of the store", file=name)


def _storable(event: Event) -> Event:
    """The event with an id that every database takes.

    Raises:
        TypeError: A line that somebody edited has other types.
    """
    call_id = text(event.call_id)
    if call_id is None or not all(isinstance(n, int) for n in (event.seq, event.attempt)):
        raise TypeError("call_id, seq or attempt")
    return replace(event, call_id=call_id)
