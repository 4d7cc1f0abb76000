"""The `switchboard` command. Each verb's own module is loaded only when the verb runs, so that `--help` answers at once."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from shared.cli.callers import call, console
from shared.cli.groups import AsJson, Env, Metadata, RoomName, dispatches, records, rooms
from shared.config.environment import Settings
from shared.errors import ConfigError, SwitchboardError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    # A traceback with local variables prints what callers say.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""A team of named LiveKit voice agents.

\b
  switchboard run intake            host an agent on this machine
  switchboard call intake           call it from another terminal
  switchboard console intake        write to it instead

\b
Exit codes:
  0  done                           4  a dispatch sets what policy keeps closed
  1  a defect in Switchboard        5  no agent came, or none spoke
  2  conf, a name or an option      6  LiveKit server, ports, build, records
  3  metadata                       7  a provider
  130  Ctrl-C
""",
)

app.add_typer(dispatches, name="dispatches")
app.add_typer(rooms, name="room")
app.add_typer(records, name="records")


@app.command()
def run(
    agents: Annotated[
        str | None,
        typer.Argument(
            envvar="SWITCHBOARD_AGENT",
            help="Names, with commas between them. All agents where none is given.",
        ),
    ] = None,
    env: Env = None,
) -> None:
    """Host agents until Ctrl-C, which lets running calls finish first.

    \b
    switchboard run intake
    switchboard run intake,support --env dev
    SWITCHBOARD_SET='llm.temperature=0.1' switchboard run intake
    """  # noqa: D301 (the help's own mark for lines as they are)
    settings = Settings.read(env=env)
    from shared.cli import run as verb

    verb.run(settings, tuple(name.strip() for name in (agents or "").split(",") if name.strip()))


app.command()(call)
app.command()(console)


@app.command()
def dispatch(
    agent: Annotated[
        str | None, typer.Argument(envvar="SWITCHBOARD_AGENT", help="Whom to send.")
    ] = None,
    room: RoomName = None,
    metadata: Metadata = None,
    room_metadata: Annotated[
        str | None, typer.Option(help="JSON for the room, where this makes it.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Names the call: repeated with the same key it is the same call."),
    ] = None,
    wait: Annotated[str, typer.Option(help="Longest wait for the agent: 10s, 500ms.")] = "10s",
    file: Annotated[
        Path | None,
        typer.Option("--from", help="A file of dispatches, one JSON object a line."),
    ] = None,
    rate: Annotated[str, typer.Option(help="With --from: how many a second.")] = "5/s",
    as_json: AsJson = False,
    env: Env = None,
) -> None:
    """Send an agent into a room and wait until it is there and ready, or say why it is not.

    \b
    switchboard dispatch intake --room r1 --metadata '{"user_id":"12345"}' --key order-77 --wait 10s
    switchboard dispatch --from calls.jsonl --rate 5/s    # goes on where it was stopped

    Exits with 0 only where the agent is ready.
    """  # noqa: D301 (as above)
    settings = Settings.read(env=env)
    from shared.cli import dispatch as verb

    if file is not None:
        verb.dispatch_all(settings, file, rate=rate, wait=wait)
        return
    verb.dispatch(
        settings, verb.Wish(agent or "", room, metadata, room_metadata, key, wait, as_json)
    )


@app.command()
def watch(env: Env = None) -> None:
    """Look after the calls of hosts that die on this machine, without serving agents: where there is only one host.

    The next host that starts finds the callers waiting; this sends its agents to them.
    """
    settings = Settings.read(env=env)
    from shared.cli import watch as verb

    verb.watch(settings)


Agent = Annotated[str | None, typer.Argument(envvar="SWITCHBOARD_AGENT", help="Whose config.")]
Profile = Annotated[str, typer.Option(help="One of conf/profile.")]


@app.command()
def config(
    agent: Agent = None, profile: Profile = "none", as_json: AsJson = False, env: Env = None
) -> None:
    """Print the config of an agent as it is composed from conf/, with SWITCHBOARD_SET on top.

    \b
    switchboard config intake
    SWITCHBOARD_SET='llm.temperature=0.1' switchboard config intake --env prod --profile patient
    """  # noqa: D301 (as above)
    settings = Settings.read(env=env)
    from shared.cli import config as verb

    verb.config(settings, agent or "", profile, as_json=as_json)


@app.command()
def explain(
    agent: Agent = None,
    metadata: Annotated[
        str | None,
        typer.Option(
            envvar="SWITCHBOARD_METADATA",
            help="What a dispatch would carry: JSON, or @ and the name of a file with it.",
        ),
    ] = None,
    as_json: AsJson = False,
    env: Env = None,
) -> None:
    """Say where each value of a call's config and metadata comes from, and what of a dispatch is refused and why.

    \b
    switchboard explain intake --metadata '{"user_id":"1","profile":"patient","config":{"tts.speed":1.2}}'
    switchboard explain intake --env prod --metadata @dispatch.json

    Exits with 0 only where the dispatch would be taken.
    """  # noqa: D301 (as above)
    settings = Settings.read(env=env)
    from shared.cli import explain as verb

    verb.explain(settings, agent or "", metadata, as_json=as_json)


@app.command("check-config")
def check_config(
    files_only: Annotated[
        bool, typer.Option("--lint", help="Only the rules for files, without composing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check all of conf/: rules for its files, each agent in each environment with each profile, and each option of a slot.

    Exits with 0 only where nothing is found.
    """
    from shared.cli import check_config as verb

    verb.check_config(files_only=files_only, as_json=as_json)


@app.command()
def doctor(as_json: AsJson = False, env: Env = None) -> None:
    """Look for what would keep an environment from working, and say what to do about it.

    Network, versions, conf, variables, LiveKit and its key, hosts of the same name, sound, and each provider's key. In local the running
    stack is asked, else the real services.

    Exits with 0 only where nothing is wrong.
    """
    settings = Settings.read(env=env)
    from shared.cli import doctor as verb

    verb.doctor(settings, as_json=as_json)


@app.command()
def gateway(
    agent: Annotated[
        str | None,
        typer.Argument(
            envvar="SWITCHBOARD_AGENT", help="Agents that may be called, with commas; all without."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 is a free one.")] = 8080,
    new_key: Annotated[
        str | None,
        typer.Option(help="Make an API key with these scopes (dispatch,calls) and print it."),
    ] = None,
    env: Env = None,
) -> None:
    """Serve frontends: tokens, dispatches, rooms, records, and a page to talk to an agent.

    \b
    switchboard gateway                       in local nobody has to sign in, on this machine only
    switchboard gateway --new-key dispatch,calls
    """  # noqa: D301 (as above)
    from shared.cli import gateway as verb

    if new_key is not None:
        verb.new_key(new_key)
        return
    names = tuple(name.strip() for name in (agent or "").split(",") if name.strip())
    verb.gateway(Settings.read(env=env), names, host=host, port=port)


@app.command()
def top(as_json: AsJson = False, env: Env = None) -> None:
    """Show hosts, agents, calls that run and what was refused in the last hour, every two seconds until Ctrl-C.

    \b
    switchboard top
    switchboard top --json            once, one JSON object
    """  # noqa: D301 (as above)
    settings = Settings.read(env=env)
    from shared.cli import top as verb

    verb.top(settings, as_json=as_json)


@app.command()
def new(
    agent: Annotated[
        str | None, typer.Argument(envvar="SWITCHBOARD_AGENT", help="Such as front_desk.")
    ] = None,
) -> None:
    """Make a new agent that takes messages: folder, prompts, contract, conf file. Change it into what it is for."""
    settings = Settings.read()
    from shared.cli import new as verb

    verb.new(settings, agent or "")


@app.command()
def schema(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where something is out of date.")
    ] = False,
) -> None:
    """Write JSON Schemas beside contracts and for conf, and README's table of agents."""
    from shared.cli import schema as verb

    verb.schema(Settings.read(), check=check)


def main() -> NoReturn:
    """Run the command, with what `make` hands over in ARGS behind the words of the command line."""
    # nothing that is imported becomes garbage, and looking for it as often as Python does takes a tenth of a command's time
    gc.set_threshold(50_000, 10, 10)
    try:
        app([*sys.argv[1:], *_words(Settings.read().exported.get("SWITCHBOARD_ARGS", ""))])
        _leave(0)
    except SwitchboardError as err:
        print(err, file=sys.stderr)
        _leave(err.exit_code)
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _leave(exit_code: int) -> NoReturn:
    """End the process, without the interpreter's clean-up where LiveKit's SDK is loaded.

    Its threads call into Python to the last moment; one that does so during the clean-up aborts the process, now and then.
    """
    if "livekit.rtc" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    sys.exit(exit_code)


def _words(args: str) -> list[str]:
    try:
        return shlex.split(args)
    except ValueError as err:
        raise ConfigError(f"ARGS: {err}; quote it like ARGS='--text \"two words\"'") from None


if __name__ == "__main__":
    main()
