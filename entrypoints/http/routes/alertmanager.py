"""Takes the alerts of Alertmanager's webhooks."""

import logging
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from adapters.alertmanager.commands import commands_of
from adapters.alertmanager.webhook import AlertmanagerWebhook
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.errors import Refused
from core.log.handler import Outcome
from core.roles import REPORTERS
from entrypoints.http.command_batches import carry_out
from entrypoints.http.limits import INGEST_BYTES
from entrypoints.http.operations import AWAY, Routes
from entrypoints.http.problems import RETRY_AFTER_SECONDS, Problem
from entrypoints.http.requests import actor_of, body_of, caller, decoded
from entrypoints.http.responses import json_response
from entrypoints.http.schemas.answers import IngestedAnswer
from entrypoints.http.services import Services
from entrypoints.http.state import services_of, state_of

logger = logging.getLogger("tocsin.ingest")

ALARMS_AT_ONCE = 256
"""How many alarms of one payload are under way at the same time."""

routes = Routes("ingest")
_webhook = msgspec.json.Decoder(AlertmanagerWebhook)


@routes.declare(
    "POST",
    "/v1/ingest/alertmanager",
    "ingest_alertmanager",
    "Take a webhook of Alertmanager, version 4",
    roles=REPORTERS,
    body=AlertmanagerWebhook,
    answers={200: IngestedAnswer},
    codes=(
        "malformed_json",
        "incomplete_body",
        "unsupported_media_type",
        "invalid",
        "payload_too_large",
        *AWAY,
        "outcome_unknown",
        "newer_version",
    ),
)
async def alertmanager(request: Request) -> Response:
    """Take a webhook of Alertmanager, version 4; 200 once everything in it is committed."""
    webhook = decoded(_webhook, await _body(request))
    counts = state_of(request).ingested
    if webhook.truncated_alerts:
        counts.truncated += webhook.truncated_alerts
        logger.warning("%s left out %d alerts", webhook.receiver, webhook.truncated_alerts)
    services, who = services_of(request), caller(request)

    def context(source: str, occurred_at: datetime | None) -> Context:
        # No command id: an annotation may change, and an alert that still fires after a manual clear
        # is a new occurrence.
        return Context(
            event_id=services.ids.new(),
            tenant=who.tenant,
            actor=actor_of(who, "source", source),
            now=services.clock.now(),
            occurred_at=occurred_at,
        )

    refused = await _apply(services, commands_of(webhook, who.tenant, context))
    counts.alerts += len(webhook.alerts)
    counts.refused += refused
    return json_response(IngestedAnswer(len(webhook.alerts), refused))


async def _body(request: Request) -> bytes:
    try:
        return await body_of(request, INGEST_BYTES)
    except Problem as problem:
        if problem.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise
        logger.error("%s: %s", request.url.path, problem.detail)  # noqa: TRY400 (the traceback tells nothing)
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS), **(problem.headers or {})}
        raise Problem(503, "payload_too_large", problem.detail, headers) from None


async def _apply(services: Services, commands: Sequence[Raise | Clear]) -> int:
    """Carry out the commands; return how many the rules refused.

    After an error the sender repeats everything, but commands committed by then change nothing.
    """
    refused = 0
    for result in await carry_out(services.handler, commands, ALARMS_AT_ONCE):
        if isinstance(result, Outcome):
            continue
        if not isinstance(result, Refused):
            raise result
        # A resolve of an alarm that was never raised here is no fault of the sender.
        if result.code != "unknown_alarm":
            refused += 1
            logger.warning("alert refused: %s: %s", result.code, result.detail)
    return refused
