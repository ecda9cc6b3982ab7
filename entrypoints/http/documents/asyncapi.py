"""The stream's description, AsyncAPI 3.0, made of the types of its messages."""

import inspect
from collections.abc import Sequence
from typing import Any, get_args

from msgspec import json as msgspec_json

from core.delivery import protocol
from core.delivery.encodings.subprotocols import ENCODINGS
from core.delivery.protocol import ClientMessage, ServerMessage

REF = "#/components/schemas/{name}"
CLOSE_CODES = {
    protocol.RESTART: "The process ends; `goodbye` said when to come back, to any process.",
    protocol.BAD_MESSAGE: "A message was none of this protocol; the `error` before says why.",
    protocol.UNAUTHENTICATED: "Nobody said who they are within 10 s, or the token is invalid or has expired.",
    protocol.FORBIDDEN: "The caller may not follow alarms, is another one than before, or was disconnected.",
    protocol.TOO_SLOW: "The client took nothing for 30 s. Nothing is lost: subscribe with the last position.",
    protocol.DUPLICATE_ID: "There was a subscription of this id already.",
    protocol.TOO_MANY: "Too many sessions, subscriptions or messages; the `error` before says which.",
}

Document = dict[str, Any]


def asyncapi(version: str) -> Document:
    """Return the description of `GET /v1/stream`."""
    sent, received = _messages(ClientMessage), _messages(ServerMessage)
    _, schemas = msgspec_json.schema_components(
        (*get_args(ClientMessage), *get_args(ServerMessage)), ref_template=REF
    )
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    codes = "\n".join(f"- {code}: {meaning}" for code, meaning in CLOSE_CODES.items())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tocsin's stream",
            "version": version,
            "description": f"Subprotocols: {', '.join(ENCODINGS)}.\n\nThe server closes with\n\n{codes}",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "stream": {
                "address": "/v1/stream",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (*sent, *received)},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "say": _operation("receive", "What clients say.", list(sent)),
            "hear": _operation("send", "What clients hear.", list(received)),
        },
        "components": {"messages": {**sent, **received}, "schemas": dict(sorted(schemas.items()))},
    }


def _messages(union: Any) -> dict[str, Document]:
    """Return the messages of a union, by what their `op` says."""
    return {
        str(kind.__struct_config__.tag): {
            "name": str(kind.__struct_config__.tag),
            "summary": (inspect.getdoc(kind) or "").partition("\n")[0],
            "payload": {"$ref": REF.format(name=kind.__name__)},
        }
        for kind in get_args(union)
    }


def _operation(action: str, summary: str, names: Sequence[str]) -> Document:
    messages = [{"$ref": f"#/channels/stream/messages/{name}"} for name in names]
    return {
        "action": action,
        "channel": {"$ref": "#/channels/stream"},
        "summary": summary,
        "messages": messages,
    }
