"""Lists the rows of the outbox, and sends dead rows again."""

from typing import get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from core.application.webhooks.administration import Retried
from core.errors import Conflict, UnknownRow
from core.outbox.ports import OutboxQuery
from core.outbox.row import RowState, parse_row_id
from core.roles import ADMINS
from entrypoints.http import audit
from entrypoints.http.operations import AWAY, BODY, Routes
from entrypoints.http.problems import Problem
from entrypoints.http.requests import body_of, caller, decoded
from entrypoints.http.responses import json_response
from entrypoints.http.schemas.answers import RowAnswer, RowsAnswer, RowShown, shown
from entrypoints.http.schemas.parameters import OutboxParameters, parameters
from entrypoints.http.state import services_of

_UNDELIVERED: frozenset[RowState] = frozenset({"pending", "dead"})


class RetryBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/outbox/retry` takes: a webhook (default: all), and the cursor to go on from."""

    webhook: str | None = None
    cursor: str | None = None


routes = Routes(
    "webhooks", ids={"row_id": {"type": "string", "pattern": "^[0-9]{1,18}:[A-Za-z0-9_-]{1,64}$"}}
)
_retry = msgspec.json.Decoder(RetryBody)


@routes.declare(
    "GET",
    "/v1/outbox",
    "outbox",
    "List rows of the outbox",
    roles=ADMINS,
    parameters=OutboxParameters,
    answers={200: RowsAnswer},
    codes=(*AWAY, "invalid", "bad_cursor"),
)
async def show_rows(request: Request) -> Response:
    """Return rows, the oldest first; without `state`, the undelivered ones."""
    query = _query(request)
    rows = await services_of(request).outgoing.outbox.page(query)
    following = rows[-1].id if len(rows) == query.limit else None
    return json_response(RowsAnswer([shown(row, RowShown, id=row.id) for row in rows], following))


@routes.declare(
    "POST",
    "/v1/outbox/{row_id}/retry",
    "retry",
    "Send a dead row again",
    roles=ADMINS,
    answers={200: RowAnswer},
    codes=(*AWAY, "unknown_row", "already_delivered", "not_rendered", "overtaken"),
)
async def retry_one(request: Request) -> Response:
    """Make a dead row pending again, and a pending row due at once."""
    try:
        row = await services_of(request).outgoing.retry(caller(request).tenant, request.path_params["row_id"])
    except UnknownRow:
        raise Problem(404, "unknown_row", "there is no such row in the outbox") from None
    except Conflict as conflict:
        raise Problem(409, conflict.code, str(conflict)) from None
    return json_response(RowAnswer(shown(row, RowShown, id=row.id)))


@routes.declare(
    "POST",
    "/v1/outbox/retry",
    "retry_all",
    "Send dead rows again",
    roles=ADMINS,
    body=RetryBody,
    optional=True,
    answers={200: Retried},
    codes=(*BODY, *AWAY, "bad_cursor"),
)
async def retry_many(request: Request) -> Response:
    """Make dead rows pending again, up to a bound; `next` is the cursor to go on from."""
    raw = await body_of(request)
    body = decoded(_retry, raw) if raw else RetryBody()
    if body.webhook is not None:
        audit.concern(request, body.webhook)
    after = None if body.cursor is None else _cursor(body.cursor)
    return json_response(
        await services_of(request).outgoing.retry_all(caller(request).tenant, body.webhook, after)
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
        raise Problem(422, "bad_cursor", "this is not a cursor from this server")
    return cursor
