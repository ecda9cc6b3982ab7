"""Administers API keys and the sessions of streams."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from core.roles import ADMINS, Role
from entrypoints.http import audit
from entrypoints.http.operations import AWAY, BODY, Routes
from entrypoints.http.problems import Problem
from entrypoints.http.requests import body_of, caller, decoded
from entrypoints.http.responses import json_response
from entrypoints.http.schemas.answers import (
    DisconnectedAnswer,
    KeyAnswer,
    KeysAnswer,
    NewKeyAnswer,
    SessionsAnswer,
    shown,
)
from entrypoints.http.schemas.bodies import Time
from entrypoints.http.state import services_of

NAME_LENGTH = 128
REASON_BYTES = 100
"""The reason goes into a WebSocket's close frame, which has 123 bytes for it."""

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]


class KeyBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/api-keys` takes."""

    name: Name
    roles: Annotated[frozenset[Role], Meta(min_length=1)] = frozenset({"source"})
    expires_at: Time | None = None


class DisconnectBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/sessions/disconnect` takes; `revoke`: refuse tokens issued up to now as well."""

    subject: Annotated[str, Meta(min_length=1, max_length=512)]
    reason: Annotated[str, Meta(max_length=REASON_BYTES)] = ""
    revoke: bool = False


routes = Routes("access", ids={"key_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}})
_key_body = msgspec.json.Decoder(KeyBody)
_disconnect_body = msgspec.json.Decoder(DisconnectBody)


@routes.declare(
    "POST",
    "/v1/api-keys",
    "create_api_key",
    "Create an API key; only this answer shows it",
    roles=ADMINS,
    body=KeyBody,
    answers={201: NewKeyAnswer},
    codes=(*BODY, *AWAY, "too_many_api_keys"),
)
async def create_key(request: Request) -> Response:
    """Create an API key; only this answer shows the key itself."""
    body = decoded(_key_body, await body_of(request))
    audit.concern(request, body.name, roles=sorted(body.roles))
    expires_at = _future(body.expires_at, services_of(request).clock.now())
    made = await services_of(request).authentication.create_key(
        caller(request), body.name, body.roles, expires_at
    )
    audit.concern(request, made.key.id, name=body.name, roles=sorted(body.roles))
    answer = shown(KeyAnswer.of(made.key), NewKeyAnswer, key=made.text)
    return json_response(answer, 201, {"Cache-Control": "no-store"})


@routes.declare(
    "GET", "/v1/api-keys", "list_api_keys", "List API keys", roles=ADMINS, answers={200: KeysAnswer}
)
async def list_keys(request: Request) -> Response:
    """Return the tenant's API keys, without their secrets."""
    keys = await services_of(request).authentication.keys_of(caller(request).tenant)
    return json_response(KeysAnswer([KeyAnswer.of(key) for key in keys]))


@routes.declare(
    "DELETE",
    "/v1/api-keys/{key_id}",
    "revoke_api_key",
    "Refuse an API key from now on, on every process",
    roles=ADMINS,
    answers={204: None},
    codes=(*AWAY, "unknown_api_key"),
)
async def revoke_key(request: Request) -> Response:
    """Refuse an API key from now on, on every process."""
    await services_of(request).authentication.revoke_key(caller(request), request.path_params["key_id"])
    return Response(status_code=204)


@routes.declare(
    "GET",
    "/v1/sessions",
    "sessions",
    "List the sessions of this process",
    roles=ADMINS,
    answers={200: SessionsAnswer},
)
async def list_sessions(request: Request) -> Response:
    """Return the tenant's sessions in the process that answers."""
    return json_response(SessionsAnswer(services_of(request).sessions(caller(request).tenant)))


@routes.declare(
    "POST",
    "/v1/sessions/disconnect",
    "disconnect",
    "End a subject's sessions on every process",
    roles=ADMINS,
    body=DisconnectBody,
    answers={202: DisconnectedAnswer},
    codes=(*BODY, *AWAY),
)
async def disconnect(request: Request) -> Response:
    """End a subject's sessions; 202, since each process ends its own when it hears of the request."""
    body = decoded(_disconnect_body, await body_of(request))
    audit.concern(request, body.subject, revoke=body.revoke)
    await services_of(request).authentication.disconnect(
        caller(request), body.subject, body.reason, revoke=body.revoke
    )
    return json_response(DisconnectedAnswer(body.subject, body.revoke), 202)


def _future(time: datetime | None, now: datetime) -> datetime | None:
    if time is None:
        return None
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        raise Problem(422, "invalid", "expires_at must be within the years 1 to 9999 in UTC") from None
    if time <= now:
        raise Problem(422, "invalid", "expires_at is in the past")
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
