"""Builds the command line, `tocsin COMMAND`, from the files of its commands."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from entrypoints.cli.log import reset_log_identity, show_log
from entrypoints.cli.logs import configure_logs
from entrypoints.cli.outbox import list_outbox, retry_outbox
from entrypoints.cli.parameters import with_settings
from entrypoints.cli.printing import out, say
from entrypoints.cli.replay import rebuild_alarms, rebuild_kpis
from entrypoints.cli.serve import serve, worker
from entrypoints.cli.tail import tail
from entrypoints.cli.token import token
from entrypoints.cli.up import up
from entrypoints.cli.verify import verify
from entrypoints.cli.whatif import whatif
from entrypoints.process.setting_declaration import Command
from entrypoints.process.settings import Settings

COMMANDS: dict[Command, Callable[..., None]] = {
    "serve": serve,
    "worker": worker,
    "up": up,
    "tail": tail,
    "whatif": whatif,
    "verify": verify,
    "token": token,
    "replay alarms": rebuild_alarms,
    "replay kpis": rebuild_kpis,
    "log show": show_log,
    "log reset-identity": reset_log_identity,
    "outbox list": list_outbox,
    "outbox retry": retry_outbox,
}
GROUPS: dict[str, str] = {
    "replay": "Rebuild a read model from the log of events.",
    "log": "Show the log of events, or give it a new identity.",
    "outbox": "List the undelivered events of webhooks, or send them again.",
}

EXAMPLES = """Examples:

  tocsin up --demo
      try Tocsin out: a MongoDB, a server and a simulated plant

  tocsin tail --url ws://127.0.0.1:8080/v1/stream
      follow the events through a server

  tocsin serve --mongodb-uri 'mongodb://db1,db2,db3/?replicaSet=rs0' --processes 4
      four server processes on your MongoDB

  tocsin token --sub ann --role operator --ttl 8h
      a token to try the API with

Most options have an environment variable, named in brackets. Shell completion: tocsin --install-completion
"""


def print_version(wanted: bool) -> None:
    """Print the version and exit, if `wanted`."""
    if wanted:
        say(out, f"tocsin {installed_version()}")
        raise typer.Exit


def installed_version() -> str:
    """Return the installed version, or a note that there is none."""
    try:
        return version("tocsin")
    except PackageNotFoundError:
        return "(not installed: run from its source)"


def common(
    settings: Settings,
    version: Annotated[  # noqa: ARG001 (its callback handles it)
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """An event-sourced alarm backend: every operator sees every event, in one order, on any process."""
    configure_logs(settings.log_format, settings.log_level)


def command_line() -> typer.Typer:
    """Return the command line with all commands and groups."""
    whole = typer.Typer(name="tocsin", no_args_is_help=True, pretty_exceptions_enable=False)
    whole.callback(epilog=EXAMPLES)(with_settings("tocsin", common))
    groups = {name: typer.Typer(help=text, no_args_is_help=True) for name, text in GROUPS.items()}
    for name, group in groups.items():
        whole.add_typer(group, name=name)
    for command, function in COMMANDS.items():
        first, _, second = command.partition(" ")
        group = groups.get(first, whole)
        group.command(second or first)(with_settings(command, function))
    return whole


def main() -> None:
    """Run the command line."""
    command_line()()


if __name__ == "__main__":
    main()
