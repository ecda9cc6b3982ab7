"""The outbox: what is still to be sent, what could not be, and sending it again."""

from typing import get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.errors import Conflict, UnknownRow
from core.outbox.ports import OutboxQuery
from core.outbox.row import RowState, parse_row_id
from entrypoints.http.problems import Problem
from entrypoints.http.requests import body_of, caller, decoded, json_response, services
from entrypoints.http.schemas.answers import RowAnswer, RowsAnswer, RowShown, shown
from entrypoints.http.schemas.parameters import OutboxParameters, parameters

_UNDELIVERED: frozenset[RowState] = frozenset({"pending", "dead"})


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
    return json_response(RowsAnswer([shown(row, RowShown, id=row.id) for row in rows], following))


async def retry_one(request: Request) -> Response:
    """Make a dead row pending again."""
    try:
        row = await services(request).outgoing.retry(caller(request).tenant, request.path_params["row_id"])
    except UnknownRow:
        raise Problem(404, "unknown_row", "there is no such row in the outbox") from None
    except Conflict as conflict:
        raise Problem(409, conflict.code, str(conflict)) from None
    return json_response(RowAnswer(shown(row, RowShown, id=row.id)))


async def retry_many(request: Request) -> Response:
    """Make dead rows pending again, up to a bound; `next` goes on behind them."""
    raw = await body_of(request)
    body = decoded(_retry, raw) if raw else RetryBody()
    after = None if body.cursor is None else _cursor(body.cursor)
    return json_response(
        await services(request).outgoing.retry_all(caller(request).tenant, body.webhook, after)
    )


def _query(request: Request) -> OutboxQuery:
    given = parameters(request, OutboxParameters)
    named: frozenset[RowState] = frozenset(state for state in given.state if state != "all")
    states = frozenset(get_args(RowState)) if "all" in given.state else named
    return OutboxQuery(
        tenant=caller(request).tenant,
        states=states or _UNDELIVERED,
        webhook=given.webhook,
        limit=given.limit,
        after=None if given.cursor is None else _cursor(given.cursor),
    )


def _cursor(text: str) -> tuple[int, str]:
    cursor = parse_row_id(text)
    if cursor is None:
        raise Problem(422, "bad_cursor", "this cursor is not one that was given out")
    return cursor


ROUTES = [
    Route("/v1/outbox", show_rows),
    Route("/v1/outbox/retry", retry_many, methods=["POST"]),
    Route("/v1/outbox/{row_id}/retry", retry_one, methods=["POST"]),
]
