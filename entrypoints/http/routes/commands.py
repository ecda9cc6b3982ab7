"""Takes commands over HTTP, one a request."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from core.alarm.alarm import Identity
from core.alarm.condition import Clear, Raise
from core.errors import Refusal
from entrypoints.http.accept_and_match import check_acceptable
from entrypoints.http.operations import AWAY, BODY, Endpoint, Routes
from entrypoints.http.requests import alarm_id_of, body_of, caller, context, decoded, kind_of
from entrypoints.http.responses import answer
from entrypoints.http.schemas.answers import CommandAnswer
from entrypoints.http.schemas.bodies import BY_ID, ById, ClearBody, ClearByIdBody, RaiseBody, raising, utc
from entrypoints.http.schemas.parameters import ALARM_ID
from entrypoints.http.state import services_of, state_of

CODES = (
    *BODY,
    *AWAY,
    "not_acceptable",
    "precondition_failed",
    "idempotency_key_reused",
    "too_many_requests",
    "outcome_unknown",
    "newer_version",
)
CONDITIONS = ("Idempotency-Key", "If-Match")

routes = Routes("commands", ids=ALARM_ID)
_raise = msgspec.json.Decoder(RaiseBody)
_clear = msgspec.json.Decoder(ClearBody)


def _codes(refusals: tuple[Refusal, ...]) -> tuple[str, ...]:
    return (*CODES, *(refusal.code for refusal in refusals))


def _admitted(endpoint: Endpoint) -> Endpoint:
    """Return a command's endpoint behind the admission; 406 if the client does not accept the answer."""

    async def guarded(request: Request) -> Response:
        # Before the command: afterwards a 406 would hide that it was carried out.
        check_acceptable(request)
        with state_of(request).admission.admit(caller(request).tenant, 1):
            return await endpoint(request)

    return guarded


@routes.declare(
    "POST",
    "/v1/alarms",
    "raise",
    "Raise an alarm, or report that it still holds",
    roles=Raise.roles,
    body=RaiseBody,
    answers={200: CommandAnswer, 201: CommandAnswer},
    codes=_codes(Raise.refusals),
    headers=CONDITIONS,
)
@_admitted
async def raise_alarm(request: Request) -> Response:
    """Raise an alarm: 201 for a new activation, 200 otherwise."""
    raw = await body_of(request)
    body = decoded(_raise, raw)
    command = raising(context(request, raw, "source", body.source, utc(body.occurred_at)), body)
    return answer(await services_of(request).handler.handle(command))


@routes.declare(
    "POST",
    "/v1/clear",
    "clear_by_identity",
    "Clear an alarm as the device that raised it",
    roles=Clear.roles_by_identity,
    body=ClearBody,
    answers={200: CommandAnswer},
    codes=("unknown_alarm", *_codes(Clear.refusals)),
    headers=CONDITIONS,
)
@_admitted
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
    return answer(await services_of(request).handler.handle(command))


def _by_id(kind: ById) -> Endpoint:
    """Return the endpoint of a command on an alarm by its id."""
    decoder = msgspec.json.Decoder(kind.body)

    async def endpoint(request: Request) -> Response:
        raw = await body_of(request)
        body = decoded(decoder, raw or b"{}")
        occurred_at = utc(body.occurred_at) if isinstance(body, ClearByIdBody) else None
        made = context(request, raw, kind_of(caller(request), kind.command), None, occurred_at)
        command = kind.make(made, alarm_id_of(request), body)
        return answer(await services_of(request).handler.handle(command))

    return _admitted(endpoint)


for _name, _kind in BY_ID.items():
    routes.declare(
        "POST",
        f"/v1/alarms/{{alarm_id}}/{_name}",
        _name,
        _kind.summary,
        roles=_kind.command.roles,
        body=_kind.body,
        optional=_kind.optional,
        answers={200: CommandAnswer},
        codes=("unknown_alarm", "not_active", *_codes(_kind.command.refusals)),
        headers=CONDITIONS,
    )(_by_id(_kind))
