"""What commands print: results on standard output, whole lines that a script can read."""

import msgspec
from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(console: Console, line: str) -> None:
    """Print a line as it is: an id may look like markup or an emoji, and has to stay whole to be of use."""
    console.print(line, markup=False, emoji=False, soft_wrap=True)


def write_json(console: Console, value: object) -> None:
    """Print a value as one line of JSON."""
    write_line(console, msgspec.json.encode(value).decode())


def write_line(console: Console, line: str) -> None:
    """Print a line without what a terminal would make of it."""
    console.file.write(f"{line}\n")
