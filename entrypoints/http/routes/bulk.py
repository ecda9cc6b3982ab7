"""Up to a thousand commands in one request, each with an answer of its own."""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.alarm.commands import Command
from core.alarm.condition import Clear
from core.log.handler import Outcome
from entrypoints.http.admission import admission
from entrypoints.http.batches import Result, carry_out
from entrypoints.http.headers import fields
from entrypoints.http.problems import Problem, problem_of
from entrypoints.http.requests import (
    body_of,
    caller,
    check_acceptable,
    check_role,
    context,
    decoded,
    idempotency_key,
    json_response,
    of_item,
    services,
    status_of,
)
from entrypoints.http.routes.commands import BY_ID, raising
from entrypoints.http.schemas.answers import ItemAnswer
from entrypoints.http.schemas.bodies import utc
from entrypoints.http.schemas.items import ClearItem, RaiseItem, command_name, items, items_by_id

logger = logging.getLogger("tocsin.http")

COMMANDS = 1_000
"""How many commands one request holds at most."""
AT_ONCE = 500
"""How many of them are under way at the same time: a full batch of the log."""

_elements = msgspec.json.Decoder(list[msgspec.Raw])
ITEMS = items(items_by_id({name: kind.body for name, kind in BY_ID.items() if name != "clear"}))
"""What each element of the array can be."""
_item = msgspec.json.Decoder(ITEMS)


async def commands(request: Request) -> Response:
    """Carry out an array of commands; answer 200 with an answer for each, in order."""
    check_acceptable(request)
    if "if-match" in fields(request.scope):
        raise Problem(422, "invalid", "If-Match names no alarm here: give each command its if_match")
    idempotency_key(request)  # One that is none is no command's fault: it is refused before any of them.
    elements = decoded(_elements, await body_of(request))
    if len(elements) > COMMANDS:
        detail = f"at most {COMMANDS} commands at once, not {len(elements)}"
        raise Problem(413, "too_many_commands", detail)
    with admission(request).admit(caller(request).tenant, len(elements)):
        read = [_read(request, element, index) for index, element in enumerate(elements)]
        results = await _carry_out(request, read)
    return json_response([_answer(result) for result in results])


async def _carry_out(request: Request, read: Sequence[Command | Problem]) -> list[Result]:
    """Return a result for each: a problem is its own, the commands' come from the handler."""
    valid = [command for command in read if not isinstance(command, Problem)]
    done = iter(await carry_out(services(request).handler, valid, AT_ONCE))
    return [each if isinstance(each, Problem) else next(done) for each in read]


def _read(request: Request, element: msgspec.Raw, index: int) -> Command | Problem:
    """Return the command that an element is, or what is wrong with it."""
    raw = bytes(element)
    try:
        return _command(request, decoded(_item, raw), raw, index)
    except Problem as problem:
        # The array was well-formed: an element that is not is one wrong value of it.
        return Problem(422, "invalid", problem.detail) if problem.code == "malformed_json" else problem


def _command(request: Request, item: Any, raw: bytes, index: int) -> Command:
    by_identity = isinstance(item, ClearItem) and item.alarm_id is None
    check_role(request, "clear_by_identity" if by_identity else command_name(item))
    match item:
        case RaiseItem():
            made = context(request, raw, "source", item.source, utc(item.occurred_at))
            return raising(of_item(made, index, item.if_match), item)
        case ClearItem():
            return _clear(request, item, raw, index)
        case _:
            made = context(request, raw, "operator", None, None)
            return BY_ID[command_name(item)].make(of_item(made, index, item.if_match), item.alarm_id, item)


def _clear(request: Request, item: ClearItem, raw: bytes, index: int) -> Clear:
    identity, occurred_at = item.identity(caller(request).tenant), utc(item.occurred_at)
    if identity is None:
        made = context(request, raw, "operator", None, occurred_at)
        return Clear(context=of_item(made, index, item.if_match), alarm_id=item.alarm_id or "")
    made = context(request, raw, "source", identity.source, occurred_at)
    by = of_item(made, index, item.if_match)
    return Clear(context=by, alarm_id=identity.alarm_id, origin=item.origin)


def _answer(result: Result) -> ItemAnswer | dict[str, Any]:
    if isinstance(result, Outcome):
        return ItemAnswer(status_of(result), result.event is not None, result.alarm.position, result.alarm)
    problem = problem_of(result)
    if problem.code == "internal":
        logger.error("a command of several failed", exc_info=result)
    return problem.body


ROUTES = [Route("/v1/commands", commands, methods=["POST"])]
