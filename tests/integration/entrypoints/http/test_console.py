"""The console's files: what they are sent with, and that all of them are."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from adapters.tokens.secret import SecretTokens
from entrypoints.http.routes.console import FOLDER, POLICY, files
from tests.kit.http import HttpStage
from tests.kit.tokens import SECRET


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with HttpStage(tokens=SecretTokens(SECRET)).client() as client:
        yield client


async def test_the_page_needs_no_token_and_lets_no_inline_script_run(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=)|\sstyle=|\son\w+=", answer.text)


async def test_a_file_that_the_browser_has_is_not_sent_again(http: httpx.AsyncClient) -> None:
    first = await http.get("/console/app.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = await http.get("/console/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.js", "../cli.py", "%2e%2e/cli.py", "vendor/README.md"])
async def test_a_file_that_is_not_the_consoles_is_not_served(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.get(f"/console/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_every_file_that_another_names_is_there(http: httpx.AsyncClient) -> None:
    page = (await http.get("/")).text
    for path in re.findall(r'(?:src|href)="(console/[^"]+)"', page):
        assert (await http.get(f"/{path}")).status_code == 200, path
    for name, file in files().items():
        for other in re.findall(r'(?:from |import\()"\./([^"]+)"', file.content.decode()):
            assert other in files(), f"{name} imports {other}"


def test_no_file_parses_markup_or_calls_anybody_else() -> None:
    markup = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function"
    )
    for path in FOLDER.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not markup.search(text), path.name
        assert "//cdn" not in text
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path.name
