"""What a dispatch may choose. It names a profile; every other key is closed unless `policy.allow` opens it."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import PolicyError, Problem


def check_dispatch(
    agent: str, profile: str | None, overrides: Mapping[str, Any], *, profiles: Sequence[str]
) -> None:
    """Refuse a dispatch that asks for what is not open to it.

    Raises:
        PolicyError: Names each key, never a value.
    """
    problems = []
    if profile is not None and profile not in profiles:
        near = difflib.get_close_matches(profile, profiles, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        problems.append(
            Problem(
                "/profile",
                "policy.profile",
                f"no such profile, {agent} has {', '.join(profiles)}{hint}",
            )
        )
    problems += [
        Problem(f"/config/{_escaped(key)}", "policy.closed", "not open to a dispatch")
        for key in overrides
    ]
    if problems:
        raise PolicyError(f"a dispatch of {agent} may not ask for this", problems)


def _escaped(key: str) -> str:
    """A key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
