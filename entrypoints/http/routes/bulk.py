"""Carries out up to a thousand commands in one request, each with its own answer."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from core.alarm.commands import Command
from core.alarm.condition import Clear, Raise
from core.log.handler import Outcome
from core.roles import Roles
from entrypoints.http.accept_and_match import check_acceptable
from entrypoints.http.command_batches import CommandResult, carry_out
from entrypoints.http.headers import fields
from entrypoints.http.json_pieces import JsonPieces, PieceMalformed, PieceTooLarge
from entrypoints.http.limits import COMMANDS
from entrypoints.http.middleware.authorization import needs
from entrypoints.http.operations import AWAY, BODY, Described, Routes
from entrypoints.http.problems import Problem, problem_of
from entrypoints.http.requests import (
    body_of,
    caller,
    context,
    decoded,
    idempotency_key,
    kind_of,
    of_item,
)
from entrypoints.http.responses import status_of
from entrypoints.http.schemas.answers import ItemAnswer
from entrypoints.http.schemas.bodies import BY_ID, raising, utc
from entrypoints.http.schemas.items import ITEM, ClearItem, RaiseItem, command_name
from entrypoints.http.state import services_of, state_of

logger = logging.getLogger("tocsin.http")

AT_ONCE = 500
"""How many of them are under way at the same time: a full batch of the log."""
SLICE = 50
"""How many are read or answered before other requests have their turn: about 2 ms."""
WHOLE_BYTES = 256 * 1024
"""A smaller array is split at once; and no valid command is larger, even with every character escaped."""
WHOLE_COMMAS = 20_000
"""More of them may be more elements than can be split at once: about 2 ms."""

_elements = msgspec.json.Decoder(list[msgspec.Raw])
_item = msgspec.json.Decoder(ITEM)
ITEM_ANSWERS = Described(
    "ItemAnswers",
    {
        "description": "An answer for each command, in their order.",
        "type": "array",
        "items": {
            "anyOf": [{"$ref": "#/components/schemas/ItemAnswer"}, {"$ref": "#/components/schemas/Problem"}]
        },
    },
    parts=(ItemAnswer,),
)

routes = Routes("commands")


@routes.declare(
    "POST",
    "/v1/commands",
    "commands",
    f"Carry out up to {COMMANDS:,} commands, each with an answer of its own",
    # Each command checks its own roles.
    roles=frozenset({"source", "operator", "admin"}),
    body=list[ITEM],
    answers={200: ITEM_ANSWERS},
    codes=(*BODY, *AWAY, "not_acceptable", "too_many_commands", "too_many_requests"),
    headers=("Idempotency-Key",),
)
async def commands(request: Request) -> Response:
    """Carry out an array of commands; answer 200 with an answer for each, in order."""
    check_acceptable(request)
    if "if-match" in fields(request.scope):
        raise Problem(422, "invalid", "If-Match names no alarm here: give each command its if_match")
    idempotency_key(request)  # Refuses the request with a bad key before any command runs.
    elements = await _split(await body_of(request), state_of(request).splitting)
    with state_of(request).admission.admit(caller(request).tenant, len(elements)):
        read: list[Command | Problem] = []
        for index, element in enumerate(elements):
            read.append(_read(request, element, index))
            await _give_way(index)
        results = await _carry_out(request, read)
    answers: list[bytes] = []
    for index, result in enumerate(results):
        answers.append(msgspec.json.encode(_answer(result)))
        await _give_way(index)
    return Response(b"[%b]" % b",".join(answers), media_type="application/json")


async def _split(body: bytes, splitting: asyncio.Lock) -> list[msgspec.Raw]:
    """Return the elements of an array. Raises Problem 400, 413, 422."""
    if len(body) <= WHOLE_BYTES and body.count(b",") <= WHOLE_COMMAS:
        return _counted(decoded(_elements, body))
    if b"{" not in body and body.count(b",") >= COMMANDS:
        # No element is a command, and there are too many to split them one by one.
        raise _too_many(body.count(b",") + 1)
    # A megabyte takes about 10 ms: forty of them in one turn of the loop would hold up everything else.
    async with splitting:
        return await _pieces_of(body)


async def _pieces_of(body: bytes) -> list[msgspec.Raw]:
    elements: list[msgspec.Raw] = []
    pieces = JsonPieces(body)
    try:
        for piece in pieces:
            elements = _counted(elements + decoded(_elements, piece))
            await asyncio.sleep(0)
        return elements + decoded(_elements, pieces.rest)
    except PieceTooLarge:
        raise Problem(422, "invalid", "a command is too large, or no command at all") from None
    except PieceMalformed:
        raise Problem(400, "malformed_json", "the commands are not separated by commas") from None


def _counted(elements: list[msgspec.Raw]) -> list[msgspec.Raw]:
    if len(elements) > COMMANDS:
        raise _too_many(len(elements))
    return elements


def _too_many(elements: int) -> Problem:
    return Problem(413, "too_many_commands", f"at most {COMMANDS} commands at once, not {elements}")


async def _give_way(index: int) -> None:
    if index % SLICE == SLICE - 1:
        await asyncio.sleep(0)


async def _carry_out(request: Request, read: Sequence[Command | Problem]) -> list[CommandResult]:
    """Return a result for each: a problem stays, a command is handled."""
    valid = [command for command in read if not isinstance(command, Problem)]
    done = iter(await carry_out(services_of(request).handler, valid, AT_ONCE))
    return [each if isinstance(each, Problem) else next(done) for each in read]


def _read(request: Request, element: msgspec.Raw, index: int) -> Command | Problem:
    """Return an element's command, or the problem with it."""
    raw = bytes(element)
    if len(raw) > WHOLE_BYTES:
        return Problem(422, "invalid", f"a command has at most {WHOLE_BYTES} bytes")
    try:
        return _command(request, decoded(_item, raw), raw, index)
    except Problem as problem:
        # The array is well-formed JSON, so a malformed element is an invalid value.
        return Problem(422, "invalid", problem.detail) if problem.code == "malformed_json" else problem


def _command(request: Request, item: Any, raw: bytes, index: int) -> Command:
    match item:
        case RaiseItem():
            _check(request, Raise.roles)
            made = context(request, raw, "source", item.source, utc(item.occurred_at))
            return raising(of_item(made, index, item.if_match), item)
        case ClearItem():
            return _clear(request, item, raw, index)
        case _:
            kind = BY_ID[command_name(item)]
            _check(request, kind.command.roles)
            made = context(request, raw, kind_of(caller(request), kind.command), None, None)
            return kind.make(of_item(made, index, item.if_match), item.alarm_id, item)


def _clear(request: Request, item: ClearItem, raw: bytes, index: int) -> Clear:
    _check(request, Clear.roles_by_identity if item.alarm_id is None else Clear.roles)
    identity, occurred_at = item.identity(caller(request).tenant), utc(item.occurred_at)
    if identity is None:
        made = context(request, raw, "operator", None, occurred_at)
        return Clear(context=of_item(made, index, item.if_match), alarm_id=item.alarm_id or "")
    made = context(request, raw, "source", identity.source, occurred_at)
    by = of_item(made, index, item.if_match)
    return Clear(context=by, alarm_id=identity.alarm_id, origin=item.origin)


def _check(request: Request, roles: Roles) -> None:
    if not caller(request).has(roles):
        raise Problem(403, "forbidden", needs(roles))


def _answer(result: CommandResult) -> ItemAnswer | dict[str, Any]:
    if isinstance(result, Outcome):
        return ItemAnswer(status_of(result), result.event is not None, result.alarm.position, result.alarm)
    problem = problem_of(result)
    if problem.code == "internal":
        logger.error("one of several commands failed", exc_info=result)
    return problem.body
