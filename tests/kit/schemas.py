"""What the descriptions of the API and of the stream say of what is sent."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from entrypoints.http.documents.asyncapi import asyncapi


@cache
def _messages() -> Mapping[str, jsonschema_rs.Validator]:
    document = asyncapi("0")
    components = {"components": document["components"]}
    return {
        name: jsonschema_rs.validator_for({**message["payload"], **components}, validate_formats=True)
        for name, message in document["components"]["messages"].items()
    }


def check_message(message: Mapping[str, Any]) -> None:
    """Check a message of the stream. Raises ValidationError: it is none that is described."""
    _messages()[message["op"]].validate(message)
