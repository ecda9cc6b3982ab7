"""Takes the alerts of Alertmanager's webhooks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from adapters.alertmanager.commands import MakeContext, commands_of
from adapters.alertmanager.webhook import Alert, AlertmanagerWebhook
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context
from core.errors import Refused
from core.log.handler import Outcome
from core.roles import REPORTERS
from entrypoints.http.command_batches import carry_out
from entrypoints.http.headers import fields
from entrypoints.http.json_pieces import PIECE_BYTES, JsonPieces, PieceMalformed, PieceTooLarge
from entrypoints.http.limits import BODY_BYTES, INGEST_BYTES
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
BATCH_ALERTS = 1_000
"""How many alerts become commands before the next ones do."""
SLICE_ALERTS = 50
"""How many become commands before other requests have their turn: about 2 ms."""
BODY_SECONDS = 30.0
"""How long a large payload may take to arrive, since it keeps a place meanwhile."""

routes = Routes("ingest")
_webhook = msgspec.json.Decoder(AlertmanagerWebhook)
_alerts = msgspec.json.Decoder(list[Alert])


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
        "body_too_slow",
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
    async with _place(request):
        body = await _body(request)
        try:
            webhook, alerts = await _checked(body)
            return await _take(request, webhook, alerts, body)
        except PieceTooLarge:
            raise _too_large(request, "an alert is too large, or what surrounds the alerts is") from None
        except PieceMalformed:
            raise Problem(400, "malformed_json", "the alerts are not separated by commas") from None


async def _checked(body: bytes) -> tuple[AlertmanagerWebhook, int]:
    """Decode all of a payload before any of it is carried out; return it without alerts, and their number."""
    if len(body) <= PIECE_BYTES:
        webhook = decoded(_webhook, body)
        return replace(webhook, alerts=[]), len(webhook.alerts)
    pieces, count = JsonPieces(body, "alerts"), 0
    for piece in pieces:
        count += len(decoded(_alerts, piece))
        await asyncio.sleep(0)
    webhook = decoded(_webhook, pieces.rest)
    if webhook.alerts:
        raise Problem(422, "invalid", "the payload has `alerts` twice")
    return webhook, count


async def _take(request: Request, webhook: AlertmanagerWebhook, alerts: int, body: bytes) -> Response:
    """Carry out what the payload says, a bounded number of alerts after the other."""
    counts, refused = state_of(request).ingested, 0
    if webhook.truncated_alerts:
        counts.truncated += webhook.truncated_alerts
        logger.warning("%s left out %d alerts", webhook.receiver, webhook.truncated_alerts)
    services, tenant, context = services_of(request), caller(request).tenant, _contexts(request)
    commands: list[Raise | Clear] = []
    for some in _slices(body):
        commands += commands_of(replace(webhook, alerts=some), tenant, context)
        await asyncio.sleep(0)
        if len(commands) >= BATCH_ALERTS:
            refused += await _apply(services, commands)
            commands = []
    refused += await _apply(services, commands)
    counts.alerts += alerts
    counts.refused += refused
    return json_response(IngestedAnswer(alerts, refused))


def _slices(body: bytes) -> Iterator[list[Alert]]:
    """Yield the alerts of a payload that was checked, a few at a time."""
    whole = len(body) <= PIECE_BYTES
    lists = [_webhook.decode(body).alerts] if whole else map(_alerts.decode, JsonPieces(body, "alerts"))
    for alerts in lists:
        for first in range(0, len(alerts), SLICE_ALERTS):
            yield alerts[first : first + SLICE_ALERTS]


def _contexts(request: Request) -> MakeContext:
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

    return context


@asynccontextmanager
async def _place(request: Request) -> AsyncIterator[None]:
    """Take one of the few places for large payloads, unless this one is small. Raises Unavailable."""
    declared = fields(request.scope).get("content-length", "")
    if declared.isdigit() and int(declared) <= BODY_BYTES:
        yield
        return
    async with state_of(request).large_payloads.taken():
        yield


async def _body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await body_of(request, INGEST_BYTES)
    except TimeoutError:
        detail = f"the body did not arrive within {BODY_SECONDS:.0f} s"
        raise Problem(400, "incomplete_body", detail, {"Connection": "close"}) from None
    except Problem as problem:
        if problem.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise
        raise _too_large(request, problem.detail, problem.headers) from None


def _too_large(request: Request, detail: str, headers: dict[str, str] | None = None) -> Problem:
    logger.error("%s: %s", request.url.path, detail)
    return Problem(
        503, "payload_too_large", detail, {"Retry-After": str(RETRY_AFTER_SECONDS), **(headers or {})}
    )


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
