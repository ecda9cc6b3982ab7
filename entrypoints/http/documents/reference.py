"""Serves `/openapi.json`, `/asyncapi.json`, and `/docs`, a page that shows both without scripts."""

from functools import cache
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrypoints.http.codes import CODES
from entrypoints.http.documents.asyncapi import asyncapi
from entrypoints.http.documents.openapi import openapi
from entrypoints.http.state import services_of

STYLE = Path(__file__).parent / "reference.css"
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Document = dict[str, Any]


async def show_openapi(request: Request) -> Response:
    """Return the API's description."""
    return Response(_encoded_openapi(_authenticated(request)), media_type="application/json")


async def show_asyncapi(_: Request) -> Response:
    """Return the stream's description."""
    return Response(msgspec.json.encode(asyncapi(version("tocsin"))), media_type="application/json")


async def show_page(request: Request) -> Response:
    """Return the reference page."""
    return Response(_page(_authenticated(request)), headers=_HEADERS, media_type="text/html")


async def show_style(_: Request) -> Response:
    """Return the page's style sheet."""
    return Response(STYLE.read_bytes(), headers=_HEADERS, media_type="text/css")


def _authenticated(request: Request) -> bool:
    return services_of(request).authentication.required


@cache
def _encoded_openapi(authenticated: bool) -> bytes:  # noqa: FBT001 (the key of the cache)
    return msgspec.json.encode(openapi(version("tocsin"), authenticated=authenticated))


@cache
def _page(authenticated: bool) -> str:  # noqa: FBT001 (the key of the cache)
    api, stream = openapi(version("tocsin"), authenticated=authenticated), asyncapi(version("tocsin"))
    tags = [(tag["name"], tag["description"]) for tag in api["tags"]]
    names = (*(name for name, _ in tags), "stream", "codes", "types")
    links = [f'<a href="#{name}">{name}</a>' for name in names]
    sections = [_tag(api, name, text) for name, text in tags]
    body = "".join((*sections, _stream(stream), _codes(), _types(api, stream)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tocsin: the API</title>'
        '<meta name="viewport" content="width=device-width">'
        '<link rel="stylesheet" href="/docs/reference.css">'
        f"</head><body><header><h1>Tocsin {escape(api['info']['version'])}</h1>"
        f'<p>{_prose(api["info"]["description"])} As documents: <a href="/openapi.json">OpenAPI 3.1</a>, '
        f'<a href="/asyncapi.json">AsyncAPI 3.0</a>.</p></header>'
        f'<nav aria-label="Parts">{" ".join(links)}</nav>'
        f"<main>{body}</main></body></html>"
    )


def _tag(api: Document, tag: str, text: str) -> str:
    operations = [
        _operation(method, path, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    ]
    return f'<section id="{tag}"><h2>{tag}</h2><p>{_prose(text)}</p>{"".join(operations)}</section>'


def _operation(method: str, path: str, operation: Document) -> str:
    parameters = [
        _row(f"<code>{escape(each['name'])}</code>", each["in"], _type(each["schema"]) + _note(each))
        for each in operation["parameters"]
    ]
    body = [
        _row("body", media, _type(content["schema"]))
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    answers = [
        _row(status, _answer(answer), _prose(answer["description"]))
        for status, answer in operation["responses"].items()
    ]
    return (
        f'<details id="{operation["operationId"]}"><summary><b class="{method}">{method.upper()}</b> '
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<p>{_prose(operation.get('description', ''))}</p>"
        f"{_table('Takes', parameters + body)}{_table('Answers', answers)}</details>"
    )


def _stream(stream: Document) -> str:
    parts = "".join(
        f"<h3>{escape(operation['summary'])}</h3>"
        + _table(
            "Messages",
            [
                _row(f"<code>{name}</code>", _type(message["payload"]), _prose(message["summary"]))
                for name, message in stream["components"]["messages"].items()
                if {"$ref": f"#/channels/stream/messages/{name}"} in operation["messages"]
            ],
        )
        for operation in stream["operations"].values()
    )
    text = "".join(f"<p>{_prose(each)}</p>" for each in stream["info"]["description"].split("\n"))
    opening = '<section id="stream"><h2>stream</h2><p><code>GET /v1/stream</code>, a WebSocket.</p>'
    return f"{opening}{text}{parts}</section>"


def _codes() -> str:
    rows = [
        _row(
            f'<code id="code-{name}">{name}</code>',
            str(code.status),
            f"{_prose(code.meaning)}; {_prose(code.remedy)}",
        )
        for name, code in CODES.items()
    ]
    return f'<section id="codes"><h2>codes</h2>{_table("The codes of problems", rows)}</section>'


def _types(api: Document, stream: Document) -> str:
    schemas = {**api["components"]["schemas"], **stream["components"]["schemas"]}
    parts = "".join(
        f'<details id="type-{name}"><summary><code>{name}</code></summary>'
        f"<p>{_prose(schema.get('description', ''))}</p>"
        + _table(
            "Fields",
            [
                _row(
                    f"<code>{escape(field)}</code>",
                    "always" if field in schema.get("required", ()) else "maybe",
                    _type(kind),
                )
                for field, kind in schema.get("properties", {}).items()
            ],
        )
        + "</details>"
        for name, schema in sorted(schemas.items())
    )
    return f'<section id="types"><h2>types</h2>{parts}</section>'


def _answer(answer: Document) -> str:
    kinds = [_type(content["schema"]) for content in answer.get("content", {}).values()]
    return " or ".join(kinds) or "nothing"


def _type(schema: Document) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{name}">{name}</a>'
    for union in ("anyOf", "allOf"):
        if union in schema:
            named = [_type(each) for each in schema[union] if each.get("properties") is None]
            return " or ".join(dict.fromkeys(named))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    kind = str(schema.get("format") or schema.get("type") or "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(kind) + _bounds(schema)


def _bounds(schema: Document) -> str:
    words = {
        "minimum": "≥",
        "maximum": "≤",
        "exclusiveMinimum": ">",
        "maxLength": "at most",
        "maxItems": "at most",
    }
    bounds = [f"{word} {schema[name]}" for name, word in words.items() if name in schema]
    return f" ({', '.join(bounds)})" if bounds else ""


def _note(parameter: Document) -> str:
    text = parameter.get("description", "")
    return f". {_prose(text)}" if text else ""


def _table(caption: str, rows: list[str]) -> str:
    return f"<table><caption>{caption}</caption><tbody>{''.join(rows)}</tbody></table>" if rows else ""


def _row(first: str, second: str, third: str) -> str:
    return f'<tr><th scope="row">{first}</th><td>{second}</td><td>{third}</td></tr>'


def _prose(text: str) -> str:
    """Escape a text, and mark the parts in backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))


ROUTES = [
    Route("/openapi.json", show_openapi),
    Route("/asyncapi.json", show_asyncapi),
    Route("/docs", show_page),
    Route("/docs/reference.css", show_style),
]
