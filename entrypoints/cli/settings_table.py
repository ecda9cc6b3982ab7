"""The table of all settings: `python -m entrypoints.cli.settings_table docs/operations.md` renews it."""

import sys
from pathlib import Path

from entrypoints.process.declaration import Setting, declared
from entrypoints.process.settings import Settings

BEGIN = "<!-- Made by python -m entrypoints.cli.settings_table, from entrypoints/process/settings.py -->\n\n"
END = "\n<!-- The end of the table that was made -->\n"
HEAD = "| variable | flag | default | of | |\n|---|---|---|---|---|\n"


def table() -> str:
    """Return the table as Markdown, a row for each setting in the order of their declaration."""
    return HEAD + "".join(f"| {' | '.join(_row(each))} |\n" for each in declared(Settings))


def renewed(page: str) -> str:
    """Return a page with the table as it is now between its two markers. Raises ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{table()}{END}{after}"


def _row(setting: Setting) -> list[str]:
    return [
        f"`{setting.variable}`",
        f"`{setting.flag}`",
        setting.shown or ", ".join(_defaults(setting)),
        ", ".join(setting.of),
        setting.text,
    ]


def _defaults(setting: Setting) -> list[str]:
    own = [f"`{value}` ({command})" for command, value in setting.differing.items()]
    match setting.default:
        case False:
            return ["off", *own]
        case None | "" | ():
            return own
        case value:
            return [f"`{value}`", *own]


def main() -> None:
    """Print the table, or put it into the pages that are named."""
    if not sys.argv[1:]:
        sys.stdout.write(table())
    for page in map(Path, sys.argv[1:]):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
