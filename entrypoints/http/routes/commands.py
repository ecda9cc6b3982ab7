"""The commands, as they come in over HTTP, one at a time."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.access.callers import ANONYMOUS
from core.alarm.alarm import Identity
from core.alarm.commands import Command
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.alarm.events import Actor
from core.alarm.notes import Assign, Comment, Unassign
from core.alarm.responses import Acknowledge, Confirm, Reset
from core.alarm.suppression import (
    PlaceInService,
    RemoveFromService,
    Shelve,
    Suppress,
    Unshelve,
    Unsuppress,
)
from entrypoints.http.admission import admitted
from entrypoints.http.requests import answer, body_of, caller, context, decoded, services
from entrypoints.http.schemas.bodies import (
    MAX_SHELVE_SECONDS,
    AcknowledgeBody,
    AssignBody,
    ClearBody,
    ClearByIdBody,
    CommentBody,
    NeededReasonBody,
    NothingBody,
    RaiseBody,
    ReasonBody,
    ShelveBody,
    utc,
)

Endpoint = Callable[[Request], Awaitable[Response]]

_raise = msgspec.json.Decoder(RaiseBody)
_clear = msgspec.json.Decoder(ClearBody)


class ById(msgspec.Struct, frozen=True):
    """A command on an alarm by its id: its body, and what makes the command of context, id and body."""

    body: type[msgspec.Struct]
    make: Callable[[Context, str, Any], Command]


def _by_design(context: Context) -> Context:
    """Return the context of a suppression: those who may are sources, or speak for one."""
    # Without authentication nobody can tell a source from an operator, who may not.
    if context.actor.id == ANONYMOUS:
        return context
    return replace(context, actor=Actor(context.actor.id, "source"))


BY_ID: dict[str, ById] = {
    "clear": ById(ClearByIdBody, lambda by, alarm, _: Clear(context=by, alarm_id=alarm)),
    "acknowledge": ById(
        AcknowledgeBody,
        lambda by, alarm, body: Acknowledge(context=by, alarm_id=alarm, revision=body.revision),
    ),
    "confirm": ById(NothingBody, lambda by, alarm, _: Confirm(context=by, alarm_id=alarm)),
    "reset": ById(NothingBody, lambda by, alarm, _: Reset(context=by, alarm_id=alarm)),
    "shelve": ById(
        ShelveBody,
        lambda by, alarm, body: Shelve(
            context=by,
            alarm_id=alarm,
            seconds=body.seconds,
            max_seconds=MAX_SHELVE_SECONDS,
            reason=body.reason,
        ),
    ),
    "unshelve": ById(NothingBody, lambda by, alarm, _: Unshelve(context=by, alarm_id=alarm)),
    "suppress": ById(
        ReasonBody,
        lambda by, alarm, body: Suppress(context=_by_design(by), alarm_id=alarm, reason=body.reason),
    ),
    "unsuppress": ById(
        ReasonBody,
        lambda by, alarm, body: Unsuppress(context=_by_design(by), alarm_id=alarm, reason=body.reason),
    ),
    "remove_from_service": ById(
        NeededReasonBody,
        lambda by, alarm, body: RemoveFromService(context=by, alarm_id=alarm, reason=body.reason),
    ),
    "place_in_service": ById(
        NeededReasonBody,
        lambda by, alarm, body: PlaceInService(context=by, alarm_id=alarm, reason=body.reason),
    ),
    "assign": ById(
        AssignBody, lambda by, alarm, body: Assign(context=by, alarm_id=alarm, assignee=body.assignee)
    ),
    "unassign": ById(NothingBody, lambda by, alarm, _: Unassign(context=by, alarm_id=alarm)),
    "comment": ById(CommentBody, lambda by, alarm, body: Comment(context=by, alarm_id=alarm, text=body.text)),
}


def raising(made: Context, body: RaiseBody) -> Raise:
    """Return the raise that a body asks for."""
    return Raise(
        context=made,
        identity=Identity(made.tenant, body.source, body.type, body.qualifier),
        severity=body.severity,
        text=body.text,
        labels=body.labels,
        details=body.details,
        event_type=body.event_type,
        probable_cause=body.probable_cause,
        annunciate=body.annunciate,
        latched=body.latched,
        origin=body.origin,
    )


async def raise_alarm(request: Request) -> Response:
    """Raise an alarm: 201 for a new activation, 200 otherwise."""
    raw = await body_of(request)
    body = decoded(_raise, raw)
    command = raising(context(request, raw, "source", body.source, utc(body.occurred_at)), body)
    return answer(await services(request).handler.handle(command))


async def clear_by_identity(request: Request) -> Response:
    """Clear an alarm that the device itself raised."""
    raw = await body_of(request)
    body = decoded(_clear, raw)
    identity = Identity(caller(request).tenant, body.source, body.type, body.qualifier)
    command = Clear(
        context=context(request, raw, "source", body.source, utc(body.occurred_at)),
        alarm_id=identity.alarm_id,
        origin=body.origin,
    )
    return answer(await services(request).handler.handle(command))


def _by_id(kind: ById) -> Endpoint:
    """Return the endpoint of an operator's command on an alarm by its id."""
    decoder = msgspec.json.Decoder(kind.body)

    async def endpoint(request: Request) -> Response:
        raw = await body_of(request)
        body = decoded(decoder, raw or b"{}")
        occurred_at = utc(body.occurred_at) if isinstance(body, ClearByIdBody) else None
        made = context(request, raw, "operator", None, occurred_at)
        command = kind.make(made, request.path_params["alarm_id"], body)
        return answer(await services(request).handler.handle(command))

    return endpoint


ROUTES = [
    Route("/v1/alarms", admitted(raise_alarm), methods=["POST"]),
    Route("/v1/clear", admitted(clear_by_identity), methods=["POST"]),
    *(
        Route(f"/v1/alarms/{{alarm_id}}/{name}", admitted(_by_id(kind)), methods=["POST"])
        for name, kind in BY_ID.items()
    ),
]
