"""Every process logs one line per event, with the fields of its call and without its caller's data."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

SECRETS = ("lovelace", "5550123", "555-0123", "12345", "five five five")

PREAMBLE = """
import logging, sys, structlog
from shared.metadata.contract import CallMetadata
from shared.telemetry.logs import bind_call, configure_host, configure_process
from shared.telemetry.redaction import Redactor
ada = Redactor.of(CallMetadata(user_id="12345", user_name="Ada Lovelace", user_phone="+15105550123"))
log = structlog.get_logger("tests")
"""


def run(*arguments: str) -> str:
    """What a Python process writes to stderr; it writes nothing to stdout."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == ""
    return done.stderr


def lines(code: str) -> list[dict[str, Any]]:
    """The JSON lines that some code logs."""
    return [json.loads(line) for line in run("-c", PREAMBLE + code).splitlines()]


@pytest.fixture(scope="module")
def job_lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a host logs while a real LiveKit job process of it logs everything and crashes."""
    fifo = tmp_path_factory.mktemp("job") / "over"
    os.mkfifo(fifo)
    output = run("-m", "tests.shared.telemetry.logging_host", str(fifo))
    return [json.loads(line) for line in output.splitlines()]


def of(found: list[dict[str, Any]], event: str) -> dict[str, Any]:
    """The one line with this event."""
    [line] = [line for line in found if line["event"] == event]
    return line


def test_every_line_of_a_job_bears_its_call(job_lines: list[dict[str, Any]]) -> None:
    """Ours, LiveKit's, warnings and a dying thread's: each line of a job says whose it is."""
    ids = {"call_id": "call-1", "agent": "desk", "dispatch": "AD_1", "digest": "d1gest"}
    events = (
        "said",
        "detail",
        "tool failed",
        "hello [redacted]",
        "unhandled exception while running the job task",
        "uncaught exception",
        "shutting down job task",
    )
    for event in events:
        line = of(job_lines, event)
        assert ids.items() <= line.items()
        assert line["job_id"]
        assert line["room_id"]


def test_no_line_of_a_job_holds_the_callers_data(job_lines: list[dict[str, Any]]) -> None:
    """Whatever was logged, raised or warned about, at DEBUG too, and in LiveKit's own lines and room field."""
    text = json.dumps(job_lines).lower()
    assert [secret for secret in SECRETS if secret in text] == []
    assert '"ada' not in text
    assert "anything" not in text
    assert of(job_lines, "said")["room"] == "[redacted]"


def test_fields_of_a_job_stay_fields(job_lines: list[dict[str, Any]]) -> None:
    """The way through LiveKit's queue keeps structure, level and logger, and loses no line for a field that cannot be pickled."""
    assert of(job_lines, "said")["nested"] == {"numbers": ["([redacted]"]}
    assert (of(job_lines, "detail")["level"], of(job_lines, "detail")["logger"]) == (
        "debug",
        "tests.job",
    )
    odd = of(job_lines, "odd fields")
    assert odd["session"].startswith("<livekit.agents.job.JobContext")
    assert {key: odd[f"{key}_"] for key in ("room", "job_id", "name", "level")} == dict.fromkeys(
        ("room", "job_id", "name", "level"), "mine"
    )


def test_a_traceback_comes_once(job_lines: list[dict[str, Any]]) -> None:
    """An exception in a job is one field of one line."""
    line = of(job_lines, "tool failed")
    assert line["exception"].startswith("Traceback")
    assert json.dumps(line).count("Traceback") == 1
    assert json.dumps(line).count("ValueError(") == 1


def test_conversations_of_a_client_library_are_not_logged(job_lines: list[dict[str, Any]]) -> None:
    """The OpenAI client logs whole requests at DEBUG; at our DEBUG it does not."""
    assert not [line for line in job_lines if line["logger"] == "openai"]


def test_a_host_puts_a_calls_fields_on_lines_about_its_job() -> None:
    """LiveKit's own line about a job bears the call's fields, and the room's name where it is nobody's."""
    found = lines("""
calls = configure_host(json=True)
calls.offered("AJ_1", ada, call_id="c1", agent="desk", dispatch="AD_1", digest="d")
calls.offered("AJ_2", ada, call_id="tel-5105550123", agent="desk", dispatch="AD_2", digest="d")
livekit = logging.getLogger("livekit.agents")
livekit.info("one", extra={"job_id": "AJ_1", "room": "room-7", "agent_name": "desk"})
livekit.info("two", extra={"job_id": "AJ_2", "room": "ada-lovelace"})
livekit.info("offer", extra={"job_id": "AJ_3", "room": "grace-hopper"})
livekit.info("no job, but Ada Lovelace")
""")
    assert found[0]["room"] == "room-7"
    assert found[0]["call_id"] == "c1"
    assert "agent_name" not in found[0]
    assert (found[1]["room"], found[1]["call_id"]) == ("[redacted]", "tel-[redacted]")
    assert found[2]["room"] == "[redacted]"
    assert found[3]["event"] == "no job, but [redacted]"


def test_a_caller_cannot_blot_out_another_calls_line() -> None:
    """The host's own line about a call is cleaned of that call's values, whoever is called `phone` elsewhere."""
    found = lines("""
calls = configure_host(json=True)
calls.offered("AJ_1", Redactor(["Ada Lovelace"]), call_id="c1")
calls.offered("AJ_2", Redactor(["phone", "refused"]), call_id="c2")
log = structlog.get_logger()
log.warning("job refused", call_id="c1", reason="/user_phone of Ada")
log.warning("job refused", call_id="c2", reason="/user_phone of Ada")
""")
    assert (found[0]["event"], found[0]["reason"]) == ("job refused", "/user_phone of [redacted]")
    assert (found[1]["event"], found[1]["reason"]) == ("job [redacted]", "/user_[redacted] of Ada")


def test_a_line_that_breaks_is_no_error_of_its_caller() -> None:
    """A message whose arguments do not fit, a field that cannot be printed: the line comes out, nothing is raised."""
    found = lines("""
configure_process(json=True)
bind_call(ada, call_id="c", agent="a", dispatch="d", digest="x")
logging.getLogger("x").info("%d of Ada", "Lovelace")
class Text(str):
    def __str__(self): raise RuntimeError("Lovelace")
logging.getLogger("x").info("secret", extra={"field": Text("Lovelace"), "other": "Lovelace"})
log.info("after", exc_info=True, stack_info=True)
""")
    assert found[0]["event"] == "%d of [redacted]"
    assert found[1]["event"] == "log line left out, it could not be redacted"
    assert found[1]["reason"] == "RuntimeError"
    assert found[1]["call_id"] == "c"
    assert found[2]["event"] == "after"
    assert "lovelace" not in json.dumps(found).lower()


def test_an_uncaught_exception_is_a_log_line() -> None:
    """A process that dies says why in its log, redacted, and nowhere else."""
    [line] = lines("""
configure_process(json=True)
bind_call(ada, call_id="c", agent="a", dispatch="d", digest="x")
raise ValueError("Ada Lovelace")
""")
    assert (line["event"], line["level"], line["call_id"]) == (
        "uncaught exception",
        "critical",
        "c",
    )
    assert line["exception"].endswith("ValueError: [redacted]")


def test_the_readable_form_says_the_same() -> None:
    """On a terminal's machine a line is text for people, without colours where nobody sees them."""
    output = run(
        "-c", PREAMBLE + 'configure_process(json=False)\nlog.info("ready", agent="desk", who="Ada")'
    )
    assert "[info     ] ready" in output
    assert "agent=desk" in output
    assert "\x1b" not in output


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", 3), ("info", 2), ("WARNING", 1)])
def test_the_level_counts_for_structlog_and_livekit(level: str, expected: int) -> None:
    """One level for all lines, whoever writes them."""
    for logger in (
        "log",
        'logging.getLogger("livekit.agents")',
        'logging.getLogger("livekit.plugins.x")',
    ):
        found = lines(f"""
configure_process(json=True, level="{level}")
for write in ({logger}.debug, {logger}.info, {logger}.warning): write("line")
""")
        assert len(found) == expected


def test_configuring_again_does_not_double_the_lines() -> None:
    """A process that sets logging up twice has one handler all the same."""
    assert (
        len(lines('configure_process(json=True); configure_process(json=True); log.info("once")'))
        == 1
    )


def test_a_job_gets_no_handler_of_its_own() -> None:
    """In a job the only way out is LiveKit's queue: a second handler would print lines the host prints too."""
    code = """
from shared.telemetry.logs import configure_job
configure_job()
sys.exit(len(logging.getLogger().handlers))
"""
    assert (
        subprocess.run([sys.executable, "-c", PREAMBLE + code], timeout=60, check=False).returncode
        == 0
    )


def test_time_is_when_it_happened() -> None:
    """A line from a job bears the time it was made, not the time it arrived."""
    [line] = lines("""
configure_process(json=True)
logging.getLogger("x").handle(logging.makeLogRecord(
    {"name": "x", "msg": "old", "levelno": 20, "levelname": "INFO", "created": 1e9}))
""")
    assert line["timestamp"] == "2001-09-09T01:46:40.000Z"
