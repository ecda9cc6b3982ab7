"""Turns settings into a command's options, and declares the options that several commands share."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from entrypoints.process.setting_declaration import Command, Setting, declared
from entrypoints.process.settings import Settings

Tenant = Annotated[str, typer.Option(help="The tenant.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]


def with_settings(command: Command, function: Callable[..., None]) -> Callable[..., None]:
    """Return the function as typer calls it: with an option for each setting in place of `settings`."""
    taken = [each for each in declared(Settings) if each.taken_by(command)]

    @wraps(function)
    def called(**arguments: Any) -> None:
        chosen = {each.name: _read(each, arguments.pop(each.name)) for each in taken}
        function(settings=Settings(**chosen), **arguments)

    parameters = [each for each in signature(function).parameters.values() if each.name != "settings"]
    # Through vars(), because the function's type declares no such attribute.
    vars(called)["__signature__"] = Signature(
        [
            *(each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters),
            *(_parameter(each, command) for each in taken),
        ]
    )
    return called


def _parameter(setting: Setting, command: Command) -> Parameter:
    """Return the setting as a parameter of a command for typer."""
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


def _read(setting: Setting, value: Any) -> Any:
    return setting.parse(value) if setting.parse else value
