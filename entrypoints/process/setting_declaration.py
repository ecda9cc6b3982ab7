"""Declares each setting once, as a field; its flag, variable and row in the docs are derived."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, get_type_hints

T = TypeVar("T")

Command = Literal[
    "tocsin",
    "serve",
    "worker",
    "up",
    "tail",
    "whatif",
    "verify",
    "token",
    "replay",
    "replay alarms",
    "replay kpis",
    "log",
    "log show",
    "log reset-identity",
    "outbox",
    "outbox list",
    "outbox retry",
]
"""A command or a group of commands; `tocsin`: the options before any command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting: its field's name and type, and the arguments of `setting`."""

    name: str
    type: Any
    default: Any
    text: str
    of: tuple[Command, ...]
    panel: str | None
    least: float | None
    most: float | None
    parse: Callable[[str], Any] | None
    computed: Callable[[], Any] | None
    shown: str | None
    switch: bool
    differing: Mapping[Command, Any]

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"TOCSIN_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f"--{self.name.replace('_', '-')}"

    def taken_by(self, command: Command) -> bool:
        """Return whether the command or its group takes the setting."""
        return command in self.of or command.partition(" ")[0] in self.of

    def default_of(self, command: Command) -> Any:
        """Return the command's default, unless it is computed."""
        return self.differing.get(command, self.default)


def setting(  # noqa: PLR0913 (all but three have a default)
    text: str,
    *,
    default: T,
    of: tuple[Command, ...],
    panel: str | None = None,
    least: float | None = None,
    most: float | None = None,
    parse: Callable[[str], T] | None = None,
    computed: Callable[[], T] | None = None,
    shown: str | None = None,
    switch: bool = False,
    differing: Mapping[Command, T] | None = None,
    secret: bool = False,
) -> T:
    """Declare a field of a dataclass as a setting.

    `text`: its description in `--help` and the docs. `of`: the commands or groups that take it. `panel`: its
    heading in `--help`. `least`, `most`: its bounds, inclusive. `parse` makes the value of a text, and the
    default of "". `computed` computes the default; `shown` describes that default. `switch`: there is no
    `--no-...`. `differing`: the defaults of commands that have their own. `secret`: the settings' repr
    omits it.
    """
    metadata: dict[str, Any] = {"text": text, "default": default, "of": of, "panel": panel}
    metadata |= {"least": least, "most": most, "parse": parse, "computed": computed, "shown": shown}
    metadata |= {"switch": switch, "differing": differing or {}}
    return field(default=default, repr=not secret, metadata=metadata)


def declared(settings: type[Any]) -> Iterator[Setting]:
    """Yield the settings that a dataclass declares, in field order."""
    types = get_type_hints(settings)
    for each in fields(settings):
        yield Setting(name=each.name, type=types[each.name], **each.metadata)
