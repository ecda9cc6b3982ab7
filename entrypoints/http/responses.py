"""Writing answers: JSON, pages of events, and what became of a command."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from core.alarm.facts import Raised
from core.log.handler import Outcome
from entrypoints.http.schemas.answers import CommandAnswer

_encoder = msgspec.json.Encoder()


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer as JSON."""
    return Response(_encoder.encode(content), status, headers, "application/json")


def events_response(events: Sequence[bytes], following: int, position: int) -> Response:
    """Return an EventsAnswer of events that are encoded already."""
    return json_response(
        {"events": [msgspec.Raw(event) for event in events], "next": following, "position": position}
    )


def answer(outcome: Outcome) -> Response:
    """Return what became of a command."""
    body = CommandAnswer(outcome.event is not None, outcome.alarm.position, outcome.alarm)
    return json_response(body, status_of(outcome), {"ETag": f'"{outcome.alarm.revision}"'})


def status_of(outcome: Outcome) -> Literal[200, 201]:
    """Return 201 for a new activation of an alarm, else 200."""
    return 201 if outcome.event is not None and outcome.event.type == Raised.stored_as else 200
