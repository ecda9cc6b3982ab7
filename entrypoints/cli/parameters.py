"""What a command takes: its settings, as options, and the options that several commands share."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from entrypoints.process.declaration import Command, Setting, declared
from entrypoints.process.settings import Settings

Tenant = Annotated[str, typer.Option(help="Whose alarms.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]


def with_settings(command: Command, function: Callable[..., None]) -> Callable[..., None]:
    """Return a function for typer that takes the settings of a command as options, in place of `settings`."""
    taken = [each for each in declared(Settings) if each.taken_by(command)]

    @wraps(function)
    def called(**given: Any) -> None:
        chosen = {each.name: _read(each, given.pop(each.name)) for each in taken}
        function(settings=Settings(**chosen), **given)

    own = [each for each in signature(function).parameters.values() if each.name != "settings"]
    # In the function's dictionary, because its type knows no such attribute.
    vars(called)["__signature__"] = Signature(
        [
            *(each.replace(kind=Parameter.KEYWORD_ONLY) for each in own),
            *(_parameter(each, command) for each in taken),
        ]
    )
    return called


def _parameter(setting: Setting, command: Command) -> Parameter:
    """Return the setting as a parameter of a command, as typer reads it."""
    option: Any = typer.Option(
        *([setting.flag] if setting.switch else []),
        envvar=setting.variable,
        help=setting.text,
        rich_help_panel=setting.panel,
        min=setting.least,
        max=setting.most,
        default_factory=setting.computed,
        show_default=setting.shown or True,
    )
    default = Parameter.empty if setting.computed else setting.default_of(command)
    return Parameter(
        setting.name,
        Parameter.KEYWORD_ONLY,
        default="" if setting.parse else default,
        annotation=Annotated[str if setting.parse else setting.type, option],
    )


def _read(setting: Setting, given: Any) -> Any:
    return setting.parse(given) if setting.parse else given
