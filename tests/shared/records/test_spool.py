"""A record survives its process and says what happened, line by line."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import SwitchboardError
from shared.records.spool import Spool, read, read_call


def test_an_event_is_one_line(tmp_path: Path) -> None:
    """Every line stands for itself: version, place, time, call and data."""
    spool = Spool.open(tmp_path / "records", call_id="call-1", attempt=2)
    spool.append("turn", role="caller", text="Größe ☎")
    spool.append("outcome", outcome="completed", code=None)
    lines = spool.path.read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert list(first) == ["v", "seq", "at", "call_id", "attempt", "event", "data"]
    assert first["data"] == {"role": "caller", "text": "Größe ☎"}
    events = read(spool.path)
    assert [(event.seq, event.event, event.call_id, event.attempt) for event in events] == [
        (0, "turn", "call-1", 2),
        (1, "outcome", "call-1", 2),
    ]
    assert events[0].at.tzinfo is not None
    spool.close()


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    """A record holds personal data: folder and file are closed to others whatever the umask."""
    before = os.umask(0)
    try:
        spool = Spool.open(tmp_path / "var" / "records", call_id="c")
    finally:
        os.umask(before)
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700
    spool.close()


def test_a_killed_writer_leaves_what_it_appended(tmp_path: Path) -> None:
    """When `append` has returned the event is safe, even from KILL."""
    code = (
        "import sys, os, signal; from pathlib import Path; from shared.records.spool import Spool\n"
        "spool = Spool.open(Path(sys.argv[1]), call_id='c')\n"
        "spool.append('joined'); spool.append('turn', role='caller', text='Hello')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert [event.event for event in read_call(tmp_path, "c")] == ["joined", "turn"]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A line that a dying machine wrote in part does not hide the ones before it."""
    spool = Spool.open(tmp_path, call_id="c")
    spool.append("joined")
    whole = spool.path.read_bytes()
    for cut in range(1, len(whole) - 1):
        spool.path.write_bytes(whole + whole[:cut])
        assert [event.event for event in read(spool.path)] == ["joined"]
    spool.close()


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    """A record that somebody edited is refused with file and line."""
    spool = Spool.open(tmp_path, call_id="c")
    spool.append("joined")
    spool.close()
    spool.path.write_bytes(b'{"v":1}\n' + spool.path.read_bytes())
    with pytest.raises(SwitchboardError, match=r"\.jsonl:1: not an event"):
        read(spool.path)


def test_every_writer_has_its_own_file(tmp_path: Path) -> None:
    """Host, job and a second attempt never share a file; together they are the call's record in order."""
    host = Spool.open(tmp_path, call_id="c")
    job = Spool.open(tmp_path, call_id="c")
    again = Spool.open(tmp_path, call_id="c", attempt=2)
    other = Spool.open(tmp_path, call_id="c2")
    host.append("offered")
    job.append("joined")
    other.append("joined")
    again.append("joined")
    assert len({host.path, job.path, again.path}) == 3
    events = read_call(tmp_path, "c")
    assert sorted((event.event, event.attempt) for event in events) == [
        ("joined", 1),
        ("joined", 2),
        ("offered", 1),
    ]
    assert [event.at for event in events] == sorted(event.at for event in events)
    for spool in (host, job, again, other):
        spool.close()


@pytest.mark.parametrize(
    "call_id", ["../../etc/passwd", "a b*?", "x" * 500, "ключ", "a/b", "a_b", "", "\ud800"]
)
def test_any_call_id_makes_a_safe_name_of_its_own(tmp_path: Path, call_id: str) -> None:
    """A dispatcher's key can name neither another folder nor another call's file."""
    spool = Spool.open(tmp_path, call_id=call_id)
    spool.append("joined")
    spool.close()
    twin = Spool.open(tmp_path, call_id="a:b")
    twin.append("turn")
    twin.close()
    assert spool.path.parent == tmp_path
    assert len(spool.path.name) < 150
    assert [event.call_id for event in read_call(tmp_path, call_id)] == [call_id]


def test_anything_a_tool_returns_can_be_kept(tmp_path: Path) -> None:
    """An event with half characters or an object that is no JSON is written all the same."""
    spool = Spool.open(tmp_path, call_id="c")
    spool.append("tool_result", text="\ud800", path=Path("x"), line="a\nb\u2028c")
    assert read(spool.path)[0].data == {"text": "\ud800", "path": "x", "line": "a\nb\u2028c"}
    spool.close()


def test_a_full_disk_costs_one_event(tmp_path: Path) -> None:
    """An event that cannot be written whole is an error and leaves no half line for the next."""
    code = (
        "import sys, resource, signal; from pathlib import Path; from shared.records.spool import Spool\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "spool = Spool.open(Path(sys.argv[1]), call_id='c')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400, resource.RLIM_INFINITY))\n"
        "spool.append('joined')\n"
        "try: spool.append('turn', text='x' * 1000)\n"
        "except OSError: print('refused')\n"
        "spool.append('outcome', outcome='failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "refused\n"
    assert [(event.seq, event.event) for event in read_call(tmp_path, "c")] == [
        (0, "joined"),
        (1, "outcome"),
    ]
