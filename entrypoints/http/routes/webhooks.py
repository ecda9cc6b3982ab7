"""Creates, shows, changes, removes and tests webhooks."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from core.application.webhooks.administration import WebhookAdministration
from core.errors import Conflict, UnknownWebhook
from core.lists.filter import Filter
from core.outbox.webhook import Format, Webhook
from core.roles import ADMINS
from entrypoints.http import audit
from entrypoints.http.operations import AWAY, BODY, Routes
from entrypoints.http.problems import Problem
from entrypoints.http.requests import body_of, caller, decoded
from entrypoints.http.responses import json_response
from entrypoints.http.schemas.answers import TestAnswer, WebhookAnswer, WebhooksAnswer, WebhookShown, shown
from entrypoints.http.state import services_of

Position = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Start = Position | Literal["now"]


class NewWebhook(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `POST /v1/webhooks` takes."""

    url: str
    format: Format = "cloudevents"
    filter: Filter = Filter()
    secrets: tuple[str, ...] = ()
    routing_key: str | None = None
    description: str = ""
    enabled: bool = True
    after: Start = "now"


class WebhookChanges(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `PATCH /v1/webhooks/{id}` takes; omitted fields stay as they are.

    `rotate`: sign with a new secret as well, shown only this once. `keep_secrets`: how many of the newest
    secrets to keep.
    """

    url: str | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET
    secrets: tuple[str, ...] | UnsetType = UNSET
    rotate: bool = False
    keep_secrets: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    routing_key: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    after: Start | UnsetType = UNSET


class Nothing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A body that may be left out."""


routes = Routes("webhooks", ids={"webhook_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}})
_new = msgspec.json.Decoder(NewWebhook)
_changes = msgspec.json.Decoder(WebhookChanges)
_nothing = msgspec.json.Decoder(Nothing)
_PLAIN = ("url", "filter", "secrets", "routing_key", "description", "enabled")


@routes.declare(
    "POST",
    "/v1/webhooks",
    "create_webhook",
    "Create a webhook; only this answer shows its secrets",
    roles=ADMINS,
    body=NewWebhook,
    answers={201: WebhookAnswer},
    codes=(*BODY, *AWAY, "too_many_webhooks", "webhook_exists"),
)
async def create(request: Request) -> Response:
    """Create a webhook; 201 with its secrets, which are never shown again."""
    body = decoded(_new, await body_of(request))
    outgoing = _outgoing(request)
    fields = {name: getattr(body, name) for name in (*_PLAIN, "format")}
    webhook = Webhook(
        id=outgoing.ids.new(), tenant=caller(request).tenant, created_at=outgoing.clock.now(), **fields
    )
    audit.concern(request, webhook.id)
    try:
        made = await outgoing.create(webhook, body.after)
    except Conflict as conflict:
        raise _conflict(conflict) from None
    headers = {"Location": f"/v1/webhooks/{made.id}"}
    return json_response(WebhookAnswer(_shown(made), made.secrets), 201, headers)


@routes.declare(
    "GET", "/v1/webhooks", "list_webhooks", "List webhooks", roles=ADMINS, answers={200: WebhooksAnswer}
)
async def show_all(request: Request) -> Response:
    """Return all webhooks of the tenant, which are few enough for one answer."""
    webhooks = await _outgoing(request).webhooks.of_tenant(caller(request).tenant)
    return json_response(WebhooksAnswer([_shown(webhook) for webhook in webhooks]))


@routes.declare(
    "GET",
    "/v1/webhooks/{webhook_id}",
    "webhook",
    "Show a webhook",
    roles=ADMINS,
    answers={200: WebhookAnswer},
    codes=(*AWAY, "unknown_webhook"),
)
async def show(request: Request) -> Response:
    """Return one webhook."""
    return json_response(WebhookAnswer(_shown(await _webhook(request))))


@routes.declare(
    "PATCH",
    "/v1/webhooks/{webhook_id}",
    "change_webhook",
    "Change the fields that the body names",
    roles=ADMINS,
    body=WebhookChanges,
    answers={200: WebhookAnswer},
    codes=(*BODY, *AWAY, "unknown_webhook", "webhook_of_file", "webhook_enabled", "already_routed"),
)
async def change(request: Request) -> Response:
    """Change the fields that the body names; the answer shows secrets only if one is new."""
    body = decoded(_changes, await body_of(request))
    audit.concern(request, request.path_params["webhook_id"], changed=_named(body))
    webhook = await _webhook(request)
    if webhook.from_file:
        raise _of_file()
    changes = _changed(body, webhook, _outgoing(request))
    start = None if body.after is UNSET else body.after
    try:
        changed = await _outgoing(request).change(webhook, changes, start)
    except Conflict as conflict:
        raise _conflict(conflict) from None
    except UnknownWebhook:
        raise _unknown() from None
    return json_response(WebhookAnswer(_shown(changed), changes["secrets"][:1] if body.rotate else None))


@routes.declare(
    "DELETE",
    "/v1/webhooks/{webhook_id}",
    "remove_webhook",
    "Remove a webhook and its rows in the outbox",
    roles=ADMINS,
    answers={204: None},
    codes=(*AWAY, "unknown_webhook", "webhook_of_file"),
)
async def remove(request: Request) -> Response:
    """Remove a webhook and its rows in the outbox."""
    webhook = await _webhook(request)
    if webhook.from_file:
        raise _of_file()
    try:
        await _outgoing(request).remove(webhook.tenant, webhook.id)
    except UnknownWebhook:
        raise _unknown() from None
    return Response(status_code=204)


@routes.declare(
    "POST",
    "/v1/webhooks/{webhook_id}/test",
    "test_webhook",
    "Call a webhook once",
    roles=ADMINS,
    body=Nothing,
    optional=True,
    answers={200: TestAnswer},
    codes=(*BODY, *AWAY, "unknown_webhook"),
)
async def test(request: Request) -> Response:
    """Call the webhook once and return the result; 200 even if the call failed."""
    body = await body_of(request)
    if body:
        decoded(_nothing, body)
    answer = await _outgoing(request).test(await _webhook(request))
    return json_response(TestAnswer(answer.delivered, answer.status, answer.reason, round(answer.seconds, 3)))


def _named(body: WebhookChanges) -> list[str]:
    """Return the names of what the body changes: their values may be secrets."""
    return [name for name in body.__struct_fields__ if getattr(body, name) not in (UNSET, False)]


def _shown(webhook: Webhook) -> WebhookShown:
    answer: WebhookShown = shown(webhook, WebhookShown, secret_count=len(webhook.secrets))
    return answer


def _changed(body: WebhookChanges, webhook: Webhook, outgoing: WebhookAdministration) -> dict[str, Any]:
    changes = {name: getattr(body, name) for name in _PLAIN if getattr(body, name) is not UNSET}
    if sum((body.rotate, body.keep_secrets is not UNSET, body.secrets is not UNSET)) > 1:
        raise Problem(422, "invalid", "give one of secrets, rotate and keep_secrets")
    if body.rotate:
        changes["secrets"] = outgoing.rotated(webhook)
    elif body.keep_secrets is not UNSET:
        changes["secrets"] = webhook.secrets[: body.keep_secrets]
    return changes


async def _webhook(request: Request) -> Webhook:
    webhooks = _outgoing(request).webhooks
    webhook = await webhooks.get(caller(request).tenant, request.path_params["webhook_id"])
    if webhook is None:
        raise _unknown()
    return webhook


def _outgoing(request: Request) -> WebhookAdministration:
    return services_of(request).outgoing


def _unknown() -> Problem:
    return Problem(404, "unknown_webhook", "there is no such webhook")


def _of_file() -> Problem:
    return Problem(409, "webhook_of_file", "the file of webhooks keeps it: change it there and restart")


def _conflict(conflict: Conflict) -> Problem:
    return Problem(409, conflict.code, str(conflict))
