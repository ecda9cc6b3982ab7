"""The descriptions of the API say all that there is, and nothing else."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema_rs
import pytest_asyncio
from starlette.routing import Route

from core.delivery import protocol
from core.errors import UnauthenticatedCode
from entrypoints.http.api import OPERATIONS, PERMISSIONS
from entrypoints.http.app import create_app
from entrypoints.http.codes import CODES
from entrypoints.http.documents.asyncapi import CLOSE_CODES
from entrypoints.http.state import AppState
from tests.kit.http import HttpStage

ROOT = Path(__file__).parents[4]
DOCUMENTS = {"/openapi.json", "/asyncapi.json", "/docs", "/docs/reference.css", "/", "/console/{name:path}"}


@pytest_asyncio.fixture
async def http(stage: HttpStage) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(AppState(services=stage.services)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def test_every_route_is_described_and_nothing_else(stage: HttpStage) -> None:
    routes = {
        (method, route.path)
        for route in create_app(AppState(services=stage.services)).routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD" and route.path not in DOCUMENTS
    }
    assert {(operation.method, operation.path) for operation in OPERATIONS} == routes


def test_no_two_operations_have_the_same_id() -> None:
    assert len({operation.id for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_code_in_the_source_is_known_with_its_status() -> None:
    used = re.compile(r'(?:Problem|response)\(\s*(\d{3}),\s*"([a-z_]+)"')
    found = {
        (int(status), code)
        for file in (ROOT / "entrypoints").rglob("*.py")
        for status, code in used.findall(file.read_text(encoding="utf-8"))
    }
    assert found
    assert {(CODES[code].status, code) for _, code in found} == found
    assert set(get_args(UnauthenticatedCode)) <= CODES.keys()


def test_every_code_is_a_code_of_some_operation() -> None:
    told = {code for operation in OPERATIONS for code in operation.codes}
    everywhere = {
        *("internal", "forbidden", "forbidden_host", "forbidden_origin", "not_found", "method_not_allowed"),
        "http_error",
        *get_args(UnauthenticatedCode),
    }
    assert CODES.keys() - told == everywhere - told


def test_the_table_of_codes_is_the_code() -> None:
    rows = [f"| `{name}` | {code.status} | {code.meaning} | {code.remedy} |" for name, code in CODES.items()]
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("| `")] == rows


async def test_the_descriptions_are_served_and_refer_to_what_is_there(http: httpx.AsyncClient) -> None:
    for path in ("/openapi.json", "/asyncapi.json"):
        answer = await http.get(path)
        assert answer.headers["content-type"] == "application/json"
        document = answer.json()
        for reference in references(document):
            assert resolved(document, reference) is not None
        for schema in document["components"]["schemas"].values():
            jsonschema_rs.validator_for({**schema, "components": document["components"]})


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def resolved(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


async def test_everything_that_is_taken_is_bounded(http: httpx.AsyncClient) -> None:
    schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    for operation in OPERATIONS:
        if isinstance(operation.body, type) and operation.path.startswith("/v1/ingest") is False:
            assert schemas[operation.body.__name__]["additionalProperties"] is False


def test_every_close_code_is_described() -> None:
    codes = {value for name, value in vars(protocol).items() if name.isupper() and 1_000 <= value <= 4_999}
    assert codes == CLOSE_CODES.keys()


async def test_the_page_shows_every_operation_without_any_script(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert "<script" not in page.text
    assert " style=" not in page.text
    for operation in OPERATIONS:
        assert f'id="{operation.id}"' in page.text
    linked = set(re.findall(r'href="#([^"]+)"', page.text))
    assert linked <= set(re.findall(r'id="([^"]+)"', page.text))
    style = await http.get("/docs/reference.css")
    assert style.headers["content-type"].startswith("text/css")


def test_everybody_may_read_the_documents() -> None:
    assert {PERMISSIONS.roles_for("GET", path) for path in DOCUMENTS} == {None}
