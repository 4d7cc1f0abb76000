"""The verbs of two words: `switchboard dispatches …`, `switchboard room …` and `switchboard records …`."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.config.environment import Settings

Env = Annotated[
    str | None,
    typer.Option(
        envvar="SWITCHBOARD_ENV", help="local, dev, staging or prod; local where none is given."
    ),
]
Metadata = Annotated[
    str | None,
    typer.Option(
        envvar="SWITCHBOARD_METADATA",
        help='JSON for the agent, or @ and the name of a file with it; {"user_id":"demo"} without.',
    ),
]
RoomName = Annotated[
    str | None,
    typer.Option("--room", envvar="SWITCHBOARD_ROOM", help="A room's name; a new one without."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout and nothing else there.")
]

dispatches = typer.Typer(
    no_args_is_help=True, help="List, look into, cancel and repeat the dispatches of a room."
)
rooms = typer.Typer(
    no_args_is_help=True, help="Make a room, change its metadata, look into it, close it."
)

records = typer.Typer(no_args_is_help=True, help="What became of calls: list, show, export.")

Room = Annotated[str, typer.Argument(help="The room's name.")]
Key = Annotated[str, typer.Argument(help="The dispatch's key.")]


@dispatches.command("list")
def list_dispatches(room: Room, as_json: AsJson = False, env: Env = None) -> None:
    """Show the dispatches of a room and what became of them."""
    from shared.cli import room as verb

    verb.dispatches(Settings.read(env=env), room, as_json=as_json)


@dispatches.command("show")
def show_dispatch(room: Room, key: Key, as_json: AsJson = False, env: Env = None) -> None:
    """Show what became of one dispatch: who took or refused it, and why."""
    from shared.cli import room as verb

    verb.show_dispatch(Settings.read(env=env), room, key, as_json=as_json)


@dispatches.command("cancel")
def cancel_dispatch(room: Room, key: Key, env: Env = None) -> None:
    """End the dispatches of a key, and their agents."""
    from shared.cli import room as verb

    verb.cancel(Settings.read(env=env), room, key)


@dispatches.command("replay")
def replay_dispatch(
    room: Room,
    key: Key,
    wait: Annotated[str, typer.Option(help="Longest wait for the agent.")] = "10s",
    env: Env = None,
) -> None:
    """Send the agent of a dispatch that came to nothing once more."""
    from shared.cli import dispatch as times
    from shared.cli import room as verb

    verb.replay(Settings.read(env=env), room, key, wait_s=times.seconds(wait))


@rooms.command("create")
def create_room(
    room: Room,
    metadata: Annotated[str | None, typer.Option(help="JSON for the room.")] = None,
    as_json: AsJson = False,
    env: Env = None,
) -> None:
    """Make a room. One that is there already keeps its own metadata: that is said, and exits with 5."""
    from shared.cli import room as verb

    verb.create(Settings.read(env=env), room, metadata, as_json=as_json)


@rooms.command("metadata")
def room_metadata(
    room: Room,
    metadata: Annotated[str, typer.Option(help="JSON, in place of what was there.")],
    as_json: AsJson = False,
    env: Env = None,
) -> None:
    """Change a room's metadata and say what each of its agents took and refused."""
    from shared.cli import room as verb

    verb.metadata(Settings.read(env=env), room, metadata, as_json=as_json)


@rooms.command("show")
def show_room(room: Room, as_json: AsJson = False, env: Env = None) -> None:
    """Show who is in a room, and its dispatches. Nothing a caller has said or is called is shown."""
    from shared.cli import room as verb

    verb.show(Settings.read(env=env), room, as_json=as_json)


@rooms.command("close")
def close_room(room: Room, env: Env = None) -> None:
    """End a room; everybody in it is disconnected."""
    from shared.cli import room as verb

    verb.close(Settings.read(env=env), room)


@records.command("list")
def list_records(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
    env: Env = None,
) -> None:
    """Show the newest calls and how they ended. Nothing that was said is shown."""
    from shared.cli import records as verb

    verb.list_calls(Settings.read(env=env), limit=limit, as_json=as_json)


@records.command("show")
def show_record(
    name: Annotated[str, typer.Argument(help="A call id, a dispatch id or a room.")],
    as_json: AsJson = False,
    env: Env = None,
) -> None:
    """Show one call: its outcome, what to do about it, and all that happened, with what was said."""
    from shared.cli import records as verb

    verb.show(Settings.read(env=env), name, as_json=as_json)


@records.command("export")
def export_records(env: Env = None) -> None:
    """Print every event of every call, one JSON object a line."""
    from shared.cli import records as verb

    verb.export(Settings.read(env=env))
