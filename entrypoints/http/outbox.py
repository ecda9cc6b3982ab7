"""The outbox: what is still to be sent, what could not be, and sending it again."""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.outbox.ports import OutboxQuery
from core.outbox.row import Row, RowState, parse_row_id
from entrypoints.http.exchange import body_of, caller, decoded, json_response, services
from entrypoints.http.problems import Problem
from entrypoints.outgoing import Conflict, UnknownRow

LIMIT = 1_000
DEFAULT_LIMIT = 100

_STATES: tuple[RowState, ...] = get_args(RowState)
_UNDELIVERED: frozenset[RowState] = frozenset({"pending", "dead"})
_PARAMETERS = frozenset({"state", "webhook", "limit", "cursor"})


class RetryBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/outbox/retry` takes: whose dead rows (default: every webhook's), and where to go on."""

    webhook: str | None = None
    cursor: str | None = None


_retry = msgspec.json.Decoder(RetryBody)


async def show_rows(request: Request) -> Response:
    """Return rows, the oldest first; without `state` those that are not delivered."""
    query = _query(request)
    rows = await services(request).outgoing.outbox.page(query)
    following = rows[-1].id if len(rows) == query.limit else None
    return json_response({"rows": shown(rows), "next": following})


async def retry_one(request: Request) -> Response:
    """Make a dead row pending again."""
    try:
        row = await services(request).outgoing.retry(caller(request).tenant, request.path_params["row_id"])
    except UnknownRow:
        raise Problem(404, "unknown_row", "there is no such row in the outbox") from None
    except Conflict as conflict:
        raise Problem(409, conflict.code, str(conflict)) from None
    return json_response({"row": shown([row])[0]})


async def retry_many(request: Request) -> Response:
    """Make dead rows pending again, up to a bound; `next` goes on behind them."""
    raw = await body_of(request)
    body = decoded(_retry, raw) if raw else RetryBody()
    after = None if body.cursor is None else _cursor(body.cursor)
    return json_response(
        await services(request).outgoing.retry_all(caller(request).tenant, body.webhook, after)
    )


def shown(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows as they are shown."""
    hidden = {"body", "tenant", "trace"}
    return [
        {"id": row.id, **{k: v for k, v in msgspec.structs.asdict(row).items() if k not in hidden}}
        for row in rows
    ]


def _query(request: Request) -> OutboxQuery:
    given = request.query_params
    for name in given:
        if name not in _PARAMETERS or (name != "state" and len(given.getlist(name)) > 1):
            detail = f"query parameter {name[:64]!r}: there are {', '.join(sorted(_PARAMETERS))}, each once"
            raise Problem(422, "invalid", detail)
    cursor = given.get("cursor")
    return OutboxQuery(
        tenant=caller(request).tenant,
        states=_states(request),
        webhook=given.get("webhook"),
        limit=_limit(given.get("limit")),
        after=None if cursor is None else _cursor(cursor),
    )


def _states(request: Request) -> frozenset[RowState]:
    named = [value for part in request.query_params.getlist("state") for value in part.split(",") if value]
    for value in named:
        if value not in (*_STATES, "all"):
            raise Problem(422, "invalid", f"state must be one of {', '.join(_STATES)} and all")
    if "all" in named:
        return frozenset(_STATES)
    return frozenset(state for state in _STATES if state in named) or _UNDELIVERED


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LIMIT)) and 1 <= int(text) <= LIMIT):
        raise Problem(422, "invalid", f"limit must be a whole number from 1 to {LIMIT}")
    return int(text)


def _cursor(text: str) -> tuple[int, str]:
    cursor = parse_row_id(text)
    if cursor is None:
        raise Problem(400, "bad_cursor", "this cursor is not one that was given out")
    return cursor


ROUTES = [
    Route("/v1/outbox", show_rows),
    Route("/v1/outbox/retry", retry_many, methods=["POST"]),
    Route("/v1/outbox/{row_id}/retry", retry_one, methods=["POST"]),
]
