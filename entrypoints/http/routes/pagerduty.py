"""Takes events of PagerDuty's Events API v2, and answers as PagerDuty does."""

import logging
from contextlib import suppress
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from adapters.pagerduty.commands import identity_of, raise_of, source_of, time_of
from adapters.pagerduty.event import (
    ACTIONS,
    DEDUP_KEY_LENGTH,
    EVENT_BYTES,
    SEVERITIES,
    PagerDutyEvent,
    read_event,
)
from core.alarm.alarm import Identity
from core.alarm.condition import Clear
from core.alarm.context import Context
from core.alarm.events import Actor
from core.alarm.responses import Acknowledge
from core.errors import InvalidEvent, InvalidInput, Refused, Unauthenticated, Unavailable
from core.roles import REPORTERS
from entrypoints.http.arriving import read_body
from entrypoints.http.operations import AWAY, Described, Routes
from entrypoints.http.requests import identified
from entrypoints.http.responses import json_response
from entrypoints.http.schemas.answers import EnqueuedAnswer, InvalidEventAnswer
from entrypoints.http.services import Services
from entrypoints.http.state import services_of, state_of

logger = logging.getLogger("tocsin.ingest")

RACES = 4
"""How often to try to acknowledge an alarm that keeps being annunciated again."""


EVENT = Described(
    "PagerDutyEvent",
    {
        "description": "An event; fields that are not named here are ignored.",
        "type": "object",
        "required": ["routing_key", "event_action"],
        "properties": {
            "routing_key": {"type": "string", "pattern": "^[!-~]{1,128}$"},
            "event_action": {"enum": sorted(ACTIONS)},
            "dedup_key": {"type": ["string", "null"], "maxLength": DEDUP_KEY_LENGTH},
        },
        "if": {"properties": {"event_action": {"const": "trigger"}}},
        "then": {
            "required": ["payload"],
            "properties": {
                "payload": {
                    "type": "object",
                    "required": ["summary", "source", "severity"],
                    "properties": {
                        "summary": {"type": "string", "pattern": r"\S"},
                        "source": {"type": "string", "pattern": r"\S"},
                        "severity": {"enum": sorted(SEVERITIES)},
                    },
                }
            },
        },
        "else": {"required": ["dedup_key"], "properties": {"dedup_key": {"type": "string", "minLength": 1}}},
    },
)
"""The schema of an event; PagerDutyEvent has the fields that are read."""

routes = Routes("ingest")


@routes.declare(
    "POST",
    "/v2/enqueue",
    "enqueue",
    "Take an event of PagerDuty's Events API v2",
    roles=REPORTERS,
    credential_in_body=True,
    body=EVENT,
    answers={202: EnqueuedAnswer, 400: InvalidEventAnswer},
    codes=(*AWAY, "outcome_unknown", "newer_version"),
)
async def enqueue(request: Request) -> Response:
    """Take one event; 202 once it is committed, or if it is about no open alarm."""
    try:
        event = read_event(await _body(request))
        tenant = await _tenant(request, event.routing_key)
        dedup_key = event.dedup_key or services_of(request).ids.new().replace("-", "")
        done = await _apply(services_of(request), event, identity_of(event, dedup_key, tenant))
    except InvalidEvent as invalid:
        return _invalid(invalid.errors)
    except InvalidInput as invalid:
        return _invalid([invalid.detail])
    counts = state_of(request).ingested
    counts.alerts += 1
    counts.dropped += not done
    return json_response(EnqueuedAnswer("success", "Event processed", dedup_key), status=202)


async def _tenant(request: Request, routing_key: str) -> str:
    """Return the event's tenant, by its routing key, or by a credential in that key or in the header."""
    tenant = state_of(request).tenant_of(routing_key)
    if tenant is not None:
        return tenant
    if services_of(request).authentication.required:
        with suppress(Unauthenticated):
            return (await identified(request, routing_key, REPORTERS)).tenant
    raise InvalidEvent(["'routing_key' is invalid: there is no such integration"])


async def _body(request: Request) -> bytes:
    """Read the body, of any media type; stop once it is larger than an event may be."""
    return await read_body(request, EVENT_BYTES)


async def _apply(services: Services, event: PagerDutyEvent, identity: Identity) -> bool:
    """Carry out the event; return False if it is about no open alarm."""

    def context(occurred_at: datetime | None = None) -> Context:
        return Context(
            event_id=services.ids.new(),
            tenant=identity.tenant,
            actor=Actor(source_of(event.routing_key), "source"),
            now=services.clock.now(),
            occurred_at=occurred_at,
        )

    if event.action == "acknowledge":
        return await _acknowledge(services, context(), identity.alarm_id)
    if event.payload is not None:
        made = context(time_of(event.payload))
        await services.handler.handle(raise_of(identity, made, event, event.payload))
        return True
    try:
        cleared = await services.handler.handle(Clear(context=context(), alarm_id=identity.alarm_id))
    except Refused:
        return False
    return cleared.event is not None


async def _acknowledge(services: Services, context: Context, alarm_id: str) -> bool:
    """Acknowledge the alarm at its newest revision, since the sender knows none."""
    alarm = await services.handler.alarm(alarm_id)
    if not alarm.active:
        return False
    revision = alarm.revision
    for _ in range(RACES):
        try:
            await services.handler.handle(Acknowledge(context=context, alarm_id=alarm_id, revision=revision))
        except Refused as refusal:
            if refusal.code != "revision_outdated" or refusal.alarm is None:
                return False
            revision = refusal.alarm.revision
        else:
            return True
    raise Unavailable(f"the alarm was annunciated again {RACES} times meanwhile")


def _invalid(errors: list[str]) -> Response:
    logger.warning("an event of PagerDuty is invalid: %s", "; ".join(errors)[:1_000])
    answer = InvalidEventAnswer("invalid event", "Event object is invalid", errors)
    # The rest of a body that is too large is not read, so the connection cannot be used again.
    return json_response(answer, 400, {"Connection": "close"})
