"""The API's description, OpenAPI 3.1, made of the types of its requests and answers."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import json as msgspec_json

from core.alarm.bounds import LABEL_BYTES
from entrypoints.http.api import OPERATIONS
from entrypoints.http.codes import CODES, by_status
from entrypoints.http.operations import Described, Media, Operation
from entrypoints.http.schemas.answers import ProblemAnswer
from entrypoints.http.schemas.parameters import LATEST

REF = "#/components/schemas/{name}"
JSON = "application/json"
PROBLEM = "application/problem+json"
TAGS = {
    "commands": "What devices and operators say. Each needs one of the roles that it names.",
    "alarms": "The alarm list, and what lies behind it.",
    "events": "The log.",
    "ingest": "What other systems send in their own formats.",
    "webhooks": "Who is told of events, and what became of that.",
    "access": "API keys and sessions.",
    "health": "For load balancers and supervisors.",
}
_HEADERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "description": "The same key and body get the first answer again.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "If-Match": {
        "description": "The revision that the alarm has to be at, in quotes, or *; else 412.",
        "schema": {"type": "string", "pattern": '^([*]|"[0-9]{1,18}"|[0-9]{1,18})$'},
    },
    "If-None-Match": {
        "description": "The revision that is known already, in quotes: then 304.",
        "schema": {"type": "string"},
    },
}
_DETAIL = {
    "description": "Any JSON, within 16 KiB and 32 levels; integers fit 64 bits.",
    "anyOf": [
        {"type": "null"},
        {"type": "boolean"},
        {"type": "integer", "minimum": -(2**63), "maximum": LATEST},
        {"type": "number"},
        {"type": "string"},
        {"type": "array", "items": {"$ref": REF.format(name="Detail")}},
        {
            "type": "object",
            "propertyNames": {"pattern": "^[^\\x00]*$"},
            "additionalProperties": {"$ref": REF.format(name="Detail")},
        },
    ],
}
Document = dict[str, Any]


def openapi(version: str, *, authenticated: bool) -> Document:
    """Return the description of the API; `authenticated`: callers have to prove who they are."""
    paths: dict[str, Document] = {}
    for operation in OPERATIONS:
        described = _operation(operation, authenticated=authenticated)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": version,
            "description": "Bounds of texts are bytes of UTF-8, times are RFC 3339.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token (JWT) or an API key."}
            },
        },
    }


def _operation(operation: Operation, *, authenticated: bool) -> Document:
    roles = operation.roles
    described: Document = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation), *_headers(operation)],
        "responses": _responses(operation, authenticated=authenticated),
    }
    if roles is not None:
        described["description"] = f"Roles: {', '.join(sorted(roles))}."
        if authenticated and not operation.credential_in_body:
            described["security"] = [{"bearer": []}]
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.optional,
            "content": {JSON: {"schema": _ref(operation.body)}},
        }
    return described


def _path_parameters(operation: Operation) -> Iterator[Document]:
    for name in operation.path_parameters:
        yield {"name": name, "in": "path", "required": True, "schema": dict(operation.ids[name])}


def _query_parameters(operation: Operation) -> Iterator[Document]:
    if operation.parameters is None:
        return
    properties = _components([operation.parameters])[operation.parameters.__name__]["properties"]
    for name, schema in properties.items():
        if name == "label":
            yield _labels()
            continue
        described = {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}
        if schema.get("type") == "array":
            # One that is said twice is taken as said once.
            described["schema"].pop("uniqueItems")
            described |= {"style": "form", "explode": True}
        yield described


def _labels() -> Document:
    """Return how labels are asked for: OpenAPI has no word for a parameter whose name is made up."""
    return {
        "name": "label.NAME",
        "in": "query",
        "required": False,
        "description": "The value that the label NAME has; as often as there are labels to name.",
        "schema": {"type": "string", "maxLength": LABEL_BYTES},
    }


def _headers(operation: Operation) -> Iterator[Document]:
    for name in operation.headers:
        yield {"name": name, "in": "header", "required": False, **_HEADERS[name]}


def _responses(operation: Operation, *, authenticated: bool) -> Document:
    responses = {str(status): _response(operation, answer) for status, answer in operation.answers.items()}
    codes = {*operation.codes, "internal"}
    if operation.roles is not None:
        codes |= {"forbidden_host"} if not authenticated else {"forbidden", *_UNAUTHENTICATED}
    if operation.roles is not None and operation.method != "GET":
        codes.add("forbidden_origin")
    if operation.path_parameters:
        # A part of a path that holds a slash is another path.
        codes.add("not_found")
    for status, named in by_status(codes).items():
        responses[str(status)] = _with_problem(responses.get(str(status)), status, named)
    return dict(sorted(responses.items()))


_UNAUTHENTICATED = ("token_missing", "token_invalid", "expired", "revoked")


def _response(operation: Operation, answer: Any) -> Document:
    described: Document = {"description": _text(answer) or "Nothing."}
    if isinstance(answer, Media):
        described["description"] = "The file."
        described["content"] = {each: {"schema": {"type": "string"}} for each in answer.types}
    elif answer is not None:
        described["content"] = {JSON: {"schema": _ref(answer)}}
    if "If-Match" in operation.headers or "If-None-Match" in operation.headers:
        tag = {"type": "string", "pattern": '^"[0-9]+"$'}
        described["headers"] = {"ETag": {"description": "The alarm's revision.", "schema": tag}}
    for other in operation.media:
        described["content"][other] = {"schema": {"type": "string"}}
    return described


def _with_problem(response: Document | None, status: int, codes: list[str]) -> Document:
    response = response or {"description": ""}
    told = "; ".join(f"`{code}`: {CODES[code].meaning}" for code in codes)
    response["description"] = f"{response['description']} {told}".strip()
    one = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    problem = {"allOf": [{"$ref": REF.format(name="Problem")}, one]}
    response["content"] = {**response.get("content", {}), PROBLEM: {"schema": problem}}
    if status in (429, 503):
        seconds = {"schema": {"type": "integer", "minimum": 0}, "description": "Seconds."}
        response.setdefault("headers", {})["Retry-After"] = seconds
    if status == 401:  # noqa: PLR2004 (RFC 9110 §15.5.2)
        response.setdefault("headers", {})["WWW-Authenticate"] = {"schema": {"type": "string"}}
    return response


def _schemas() -> Document:
    """Return every type that a body or an answer has; answers always have all their fields."""
    answers = [
        answer for operation in OPERATIONS for answer in operation.answers.values() if answer is not None
    ]
    bodies = [operation.body for operation in OPERATIONS if operation.body is not None]
    written = [each for each in (*answers, *bodies) if isinstance(each, Described)]
    shown = [each for each in answers if not isinstance(each, Described | Media)]
    shown += [part for each in written for part in each.parts]
    told = _components(shown)
    for name, kind in _structs(shown).items():
        if not kind.__struct_config__.omit_defaults and "properties" in told[name]:
            told[name]["required"] = list(told[name]["properties"])
    taken = _components(each for each in bodies if not isinstance(each, Described))
    for schema in taken.values():
        # One that is said twice is taken as said once.
        for kind in schema.get("properties", {}).values():
            kind.pop("uniqueItems", None)
    problem = _components([ProblemAnswer])["ProblemAnswer"]
    problem["properties"]["status"] |= {"minimum": 400, "maximum": 599}
    problem["properties"]["code"] = {"enum": sorted(CODES)}
    own = {
        "Problem": {**problem, "title": "Problem"},
        "Detail": _DETAIL,
    }
    return dict(sorted({**taken, **told, **own, **{each.name: each.schema for each in written}}.items()))


def _components(kinds: Iterable[Any]) -> dict[str, Document]:
    _, components = msgspec_json.schema_components(tuple(kinds), ref_template=REF)
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return components


def _structs(kinds: Iterable[Any]) -> dict[str, type[msgspec.Struct]]:
    """Return every struct in the types, by name."""
    found: dict[str, type[msgspec.Struct]] = {}
    waiting: list[Any] = list(msgspec.inspect.multi_type_info(kinds))
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType) and info.cls.__name__ not in found:
            found[info.cls.__name__] = info.cls
            waiting += [field.type for field in info.fields]
        for part in ("item_type", "key_type", "value_type"):
            if hasattr(info, part):
                waiting.append(getattr(info, part))
        waiting += [*getattr(info, "types", ())]
    return found


def _ref(kind: Any) -> Document:
    if isinstance(kind, Described):
        return {"$ref": REF.format(name=kind.name)}
    (schema,), _ = msgspec_json.schema_components((kind,), ref_template=REF)
    return schema


def _text(kind: Any) -> str:
    return inspect.getdoc(kind) or "" if inspect.isclass(kind) else ""


def _without_null(schema: Mapping[str, Any]) -> Document:
    """Return the schema of a query parameter: one that is not sent is not null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        return dict(kinds[0])
    return {name: value for name, value in schema.items() if name != "default" or value is not None}
