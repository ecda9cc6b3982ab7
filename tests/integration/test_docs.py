"""What the documents promise: the table has every setting, every link leads somewhere, the client works."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import entrypoints
from entrypoints.cli.main import COMMANDS, GROUPS, command_line
from entrypoints.cli.settings_table import renewed
from entrypoints.process.declaration import declared
from entrypoints.process.settings import Settings
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer

ROOT = Path(entrypoints.__file__).parent.parent
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def options(command: Any, path: str = "tocsin") -> Iterator[tuple[str, str, str]]:
    """Yield each command's options that are settings, as typer made them: command, variable, flag."""
    for each in command.params:
        if each.envvar:
            yield path, str(each.envvar), max(each.opts, key=len)
    for name, inner in getattr(command, "commands", {}).items():
        yield from options(inner, name if path == "tocsin" else f"{path} {name}")


def test_every_command_has_the_settings_that_name_it_and_no_others() -> None:
    assert set(options(typer.main.get_command(command_line()))) == {
        (command, each.variable, each.flag)
        for each in declared(Settings)
        for command in ("tocsin", *COMMANDS)
        if each.taken_by(command)
    }


def test_settings_name_no_command_that_there_is_not() -> None:
    assert {name for each in declared(Settings) for name in each.of} <= {"tocsin", *COMMANDS, *GROUPS}


def test_the_table_has_every_setting_as_it_is() -> None:
    page = (DOCS / "operations.md").read_text()
    assert page == renewed(page), "run: python -m entrypoints.cli.settings_table docs/operations.md"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not broken


async def test_the_client_in_30_lines_follows_and_resumes(
    replica_set: ReplicaSet, database: str, tmp_path: Path
) -> None:
    (code,) = CODE.findall((DOCS / "protocol.md").read_text())
    assert len([line for line in code.splitlines() if line]) <= 30
    script = tmp_path / "client.py"
    script.write_text(code)
    body = {"source": "pump", "type": "leak", "severity": "major"}
    with TocsinServer(tmp_path, replica_set.uri, database) as server:
        client = await asyncio.create_subprocess_exec(
            sys.executable, str(script), server.ws_url, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert client.stdout is not None
            async with server.client() as http, asyncio.timeout(60):
                first = asyncio.ensure_future(client.stdout.readline())
                number = 0
                # It follows from when it has subscribed: until then there is nothing for it.
                while not first.done():
                    number += 1
                    await http.post("/v1/alarms", json={**body, "source": f"pump-{number}"})
                position = int((await first).split()[0])
                await asyncio.to_thread(server.terminate)
                await asyncio.to_thread(server.start)
                await http.post("/v1/alarms", json={**body, "source": "pump-after"})
                for expected in range(position + 1, number + 2):
                    line = await client.stdout.readline()
                    assert line.split() == [str(expected).encode(), b"alarm.raised"]
        finally:
            client.kill()
            await client.wait()
