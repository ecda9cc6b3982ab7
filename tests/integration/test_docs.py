"""The documents name every setting, route and message; each file and link in them is there; code runs."""

import asyncio
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import typer

import entrypoints
from core.alarm.facts import FACT_TYPES
from core.delivery.protocol import ClientMessage, ErrorCode, ServerMessage
from entrypoints.cli.main import COMMANDS, GROUPS, command_line
from entrypoints.cli.settings_table import renewed
from entrypoints.http.documents.asyncapi import CLOSE_CODES
from entrypoints.http.documents.openapi import openapi
from entrypoints.process.setting_declaration import declared
from entrypoints.process.settings import Settings
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer

ROOT = Path(entrypoints.__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "tests" / "README.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMED = re.compile(r"(?<![\w./-])(?:core|adapters|entrypoints|tests|docs)/[\w./-]*\w")
SHORT = re.compile(
    r"(?<![\w./@-])((?:\w[\w.@-]*/)*\w[\w.@-]*\.(?:py|md|m?js|css|html|ya?ml|conf|service))(?![\w-])"
)
NOT_OURS = {"alertmanager.yml", "NNNN-dashed-title.md"}
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


def messages() -> Iterator[str]:
    for kind in (*get_args(ClientMessage), *get_args(ServerMessage)):
        yield str(kind.__struct_config__.tag)
        yield from (field.encode_name for field in msgspec.structs.fields(kind))


def test_every_message_error_and_close_of_the_stream_is_told() -> None:
    told = (DOCS / "protocol.md").read_text()
    wanted = {*messages(), *get_args(ErrorCode), *map(str, CLOSE_CODES)}
    assert not {name for name in wanted if f"`{name}`" not in told and f"| {name} |" not in told}


def described() -> Iterator[str]:
    """Yield each route as the page writes it, a command on an alarm by its row, and each query parameter."""
    for path, methods in openapi("", authenticated=True)["paths"].items():
        command = re.fullmatch(r"/v1/alarms/{alarm_id}/(\w+)", path)
        yield f"| `{command[1]}` |" if command and "post" in methods else re.sub(r"{\w+}", "{id}", path)
        for operation in methods.values():
            yield from (each["name"] for each in operation["parameters"] if each["in"] == "query")


def test_every_route_parameter_and_event_is_told_in_the_api() -> None:
    told = (DOCS / "api.md").read_text()
    assert not {name for name in (*described(), *FACT_TYPES) if name not in told}


def anchors(page: Path) -> set[str]:
    """Return what a link to the page can name behind `#`, as GitHub makes it of each heading."""
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in HEADING.findall(page.read_text())
    }


def leads_somewhere(page: Path, path: str, anchor: str) -> bool:
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not leads_somewhere(page, *link)]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    missing = [name for name in NAMED.findall(page.read_text()) if not (ROOT / name).exists()]
    assert not missing


@cache
def tree() -> frozenset[str]:
    """Return each file's path and every end of it: `core/log/ports.py`, `log/ports.py`, `ports.py`."""
    roots = [ROOT / name for name in ("core", "adapters", "entrypoints", "tests", "docs")]
    files = [*ROOT.glob("*.*"), *(path for root in roots for path in root.rglob("*.*"))]
    parts = [path.relative_to(ROOT).parts for path in files]
    return frozenset("/".join(each[begin:]) for each in parts for begin in range(len(each)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_without_its_folder_is_somewhere(page: Path) -> None:
    missing = set(SHORT.findall(page.read_text())) - NOT_OURS - tree()
    assert not missing


def test_every_decision_is_in_the_index() -> None:
    records = {page.name for page in (DOCS / "adr").glob("[0-9]*.md")}
    assert set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (DOCS / "adr" / "README.md").read_text())) == records


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
