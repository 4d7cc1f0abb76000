"""Everything Switchboard raises on purpose.

    SwitchboardError
     ├─ ConfigError     exit 2   conf, overrides, names: quotes the value
     ├─ MetadataError   exit 3   what a dispatch says: never quotes a value
     ├─ PolicyError     exit 4   what a dispatch may not set: never quotes a value
     ├─ DispatchError   exit 5   nobody came, or not in time
     ├─ StackError      exit 6   server, ports, build
     └─ ProviderError   exit 7   a key refused, a provider down

Each error has a stable `code` such as `metadata.missing`; its text says what failed, what would be right and what to type.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class SwitchboardError(Exception):
    """Base of every error above; carries the exit code of the `switchboard` command."""

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "switchboard.error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code


class ConfigError(SwitchboardError):
    """Conf, an override or a name is wrong; one text for each thing that is. They quote the value."""

    exit_code = 2
    default_code = "config.invalid"

    def __init__(self, *texts: str, code: str | None = None) -> None:
        super().__init__("; ".join(texts), code=code)
        self.texts = texts


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a dispatch.

    Attributes:
        pointer: JSON pointer of the field, `""` for the whole document.
        code: Stable, such as `metadata.missing`.
        text: What is wrong and what would be right, without the value.
    """

    pointer: str
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.text}" if self.pointer else self.text


_NAME_LIKE = re.compile(r"[A-Za-z_][\w.-]{0,39}|\d{1,4}")


def pointer(*parts: str | int) -> str:
    """A JSON pointer. A key that does not look like a name is shown as *: it may be a value in the wrong place."""
    shown = (str(part) if _NAME_LIKE.fullmatch(str(part)) else "*" for part in parts)
    return "".join(f"/{part}" for part in shown)


def near(name: str, known: Sequence[str]) -> str:
    """A hint at the nearest of the known names, where one is near."""
    found = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {found[0]}?" if found else ""


class ProblemsError(SwitchboardError):
    """An error that lists every problem of a dispatch at once."""

    def __init__(self, headline: str, problems: Sequence[Problem]) -> None:
        super().__init__(
            f"{headline}: " + "; ".join(str(problem) for problem in problems),
            code=problems[0].code if problems else None,
        )
        self.problems = tuple(problems)


class MetadataError(ProblemsError):
    """The metadata of a dispatch does not fit the agent's contract. Never quotes a value: it is personal data."""

    exit_code = 3
    default_code = "metadata.invalid"


class PolicyError(ProblemsError):
    """A dispatch asks for what `policy` does not open. Never quotes a value."""

    exit_code = 4
    default_code = "policy.refused"


class DispatchError(SwitchboardError):
    """A dispatch did not bring an agent into the room."""

    exit_code = 5
    default_code = "dispatch.failed"


class StackError(SwitchboardError):
    """The local stack or the LiveKit server cannot be started or reached."""

    exit_code = 6
    default_code = "stack.failed"


class ProviderError(SwitchboardError):
    """A provider refused the key or is down."""

    exit_code = 7
    default_code = "provider.failed"
