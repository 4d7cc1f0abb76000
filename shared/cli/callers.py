"""The verbs with which somebody talks to an agent from this machine, as the command line knows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.cli.groups import AsJson, Env, Metadata, RoomName
from shared.config.environment import Settings


def call(
    agent: Annotated[
        str | None, typer.Argument(envvar="SWITCHBOARD_AGENT", help="Whom to call.")
    ] = None,
    metadata: Metadata = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="What to say, one turn each; repeatable. The local voice speaks it."),
    ] = None,
    wav: Annotated[
        list[Path] | None,
        typer.Option(help="A recording to play as a turn; repeatable, in place of --text."),
    ] = None,
    as_json: AsJson = False,
    room: RoomName = None,
    mic: Annotated[
        bool | None,
        typer.Option(
            "--mic/--no-mic",
            help="Speak yourself, Ctrl-D hangs up; so it is on a terminal where there is a microphone.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1.0, help="Seconds after which the caller hangs up; 120 where no person calls."
        ),
    ] = None,
    env: Env = None,
) -> None:
    """Call a running agent: join a room, dispatch the agent with metadata, speak, and show what both sides say.

    Without --text and --wav, and where you do not speak yourself, the caller is a person with a name, a number and a reason (the metadata
    may say which), who answers what it is asked. Else it says one turn after the other, each when the agent has finished, and hangs up
    after the last answer.

    \b
    switchboard call intake
    switchboard call intake --metadata '{"user_id":"12345","user_name":"Ada Lovelace"}'
    switchboard call support --text "Where is my order?" --text "Thank you, goodbye." --json

    Exits with 0 only when the agent spoke.
    """  # noqa: D301 (the help's own mark for lines as they are)
    settings = Settings.read(env=env)
    from shared.cli import call as verb

    verb.call(
        settings,
        verb.Wish(
            agent=agent or "",
            metadata=metadata,
            turns=(*(text or ()), *(wav or ())),
            room=room,
            timeout_s=timeout,
            as_json=as_json,
            microphone=mic,
        ),
    )


def console(
    agent: Annotated[
        str | None, typer.Argument(envvar="SWITCHBOARD_AGENT", help="Whom to write to.")
    ] = None,
    metadata: Metadata = None,
    as_json: AsJson = False,
    room: RoomName = None,
    env: Env = None,
) -> None:
    """Write to a running agent, a line a turn, and read what it answers: a call without any sound. Ctrl-D hangs up.

    \b
    switchboard console intake
    printf '%s\n' "My order is late." "Yes." | switchboard console intake --json

    Exits with 0 only when the agent answered.
    """  # noqa: D301 (the help's own mark for lines as they are)
    settings = Settings.read(env=env)
    from shared.cli import call as verb

    verb.call(
        settings,
        verb.Wish(
            agent=agent or "",
            metadata=metadata,
            turns=(),
            room=room,
            timeout_s=None,
            as_json=as_json,
            typed=True,
        ),
    )
