"""Prints results on standard output, in whole lines that a script can read."""

import msgspec
from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def say(console: Console, line: str) -> None:
    """Print a line without markup, emoji or wrapping, since an id in it must stay as it is."""
    console.print(line, markup=False, emoji=False, soft_wrap=True)


def write_json(console: Console, value: object) -> None:
    """Print a value as one line of JSON."""
    write_line(console, msgspec.json.encode(value).decode())


def write_line(console: Console, line: str) -> None:
    """Print a line without rich's formatting."""
    console.file.write(f"{line}\n")
