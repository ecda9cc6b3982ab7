"""Renews the table of all settings: `python -m entrypoints.cli.settings_table docs/operations.md`."""

import sys
from pathlib import Path

from entrypoints.process.setting_declaration import Setting, declared
from entrypoints.process.settings import Settings

BEGIN = "<!-- Made by python -m entrypoints.cli.settings_table, from entrypoints/process/settings.py -->\n\n"
END = "\n<!-- The end of the table that was made -->\n"
HEAD = "| variable | flag | default | commands | meaning |\n|---|---|---|---|---|\n"


def table() -> str:
    """Return the table as Markdown, a row for each setting in declaration order."""
    return HEAD + "".join(f"| {' | '.join(_row(each))} |\n" for each in declared(Settings))


def renewed(page: str) -> str:
    """Return the page with the current table between its markers. Raises ValueError without markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN.strip()} or {END.strip()}")
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
    differing = [f"`{value}` ({command})" for command, value in setting.differing.items()]
    match setting.default:
        case False:
            return ["off", *differing]
        case None | "" | ():
            return differing
        case value:
            return [f"`{value}`", *differing]


def main() -> None:
    """Print the table, or renew it in the pages that the arguments name."""
    if not sys.argv[1:]:
        sys.stdout.write(table())
    for page in map(Path, sys.argv[1:]):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
