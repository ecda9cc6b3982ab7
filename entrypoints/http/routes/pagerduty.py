"""PagerDuty's Events API v2: what clients of PagerDuty send, answered as PagerDuty answers."""

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
from entrypoints.http.operations import AWAY, Described, Routes
from entrypoints.http.requests import identified, services
from entrypoints.http.responses import json_response
from entrypoints.http.routes.alertmanager import IngestCounts
from entrypoints.http.schemas.answers import EnqueuedAnswer, InvalidEventAnswer
from entrypoints.process.routing_keys import TenantOf
from entrypoints.process.services import Services

logger = logging.getLogger("tocsin.ingest")

RACES = 4
"""How often an acknowledgement may find the alarm announced once more."""


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
"""An event as a client has to send it; what is read of one is PagerDutyEvent."""

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
    """Take one event; 202 once it is committed, or there was nothing open that it could be about."""
    try:
        event = read_event(await _body(request))
        tenant = await _tenant(request, event.routing_key)
        dedup_key = event.dedup_key or services(request).ids.new().replace("-", "")
        done = await _apply(services(request), event, identity_of(event, dedup_key, tenant))
    except InvalidEvent as invalid:
        return _invalid(invalid.errors)
    except InvalidInput as invalid:
        return _invalid([invalid.detail])
    counts: IngestCounts = request.app.state.ingested
    counts.alerts += 1
    counts.dropped += not done
    return json_response(EnqueuedAnswer("success", "Event processed", dedup_key), status=202)


async def _tenant(request: Request, routing_key: str) -> str:
    """Return whose event it is: the routing key is an integration's, or is, or goes with, a credential."""
    tenant_of: TenantOf = request.app.state.tenant_of_routing_key
    tenant = tenant_of(routing_key)
    if tenant is not None:
        return tenant
    if services(request).authentication.required:
        with suppress(Unauthenticated):
            return (await identified(request, routing_key, REPORTERS)).tenant
    raise InvalidEvent(["'routing_key' is invalid: there is no such integration"])


async def _body(request: Request) -> bytes:
    """Read the body whatever its media type, up to one byte more than an event has."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > EVENT_BYTES:
            break
    return bytes(body)


async def _apply(offered: Services, event: PagerDutyEvent, identity: Identity) -> bool:
    """Carry the event out; return whether there was anything that it could be about."""

    def context(occurred_at: datetime | None = None) -> Context:
        return Context(
            event_id=offered.ids.new(),
            tenant=identity.tenant,
            actor=Actor(source_of(event.routing_key), "source"),
            now=offered.clock.now(),
            occurred_at=occurred_at,
        )

    if event.action == "acknowledge":
        return await _acknowledge(offered, context(), identity.alarm_id)
    if event.payload is not None:
        made = context(time_of(event.payload))
        await offered.handler.handle(raise_of(identity, made, event, event.payload))
        return True
    try:
        cleared = await offered.handler.handle(Clear(context=context(), alarm_id=identity.alarm_id))
    except Refused:
        return False
    return cleared.event is not None


async def _acknowledge(offered: Services, context: Context, alarm_id: str) -> bool:
    """Acknowledge the alarm as it stands: the sender knows no revisions."""
    newest = await offered.log.newest(alarm_id)
    if newest is None or not newest.alarm.active:
        return False
    revision = newest.revision
    for _ in range(RACES):
        try:
            await offered.handler.handle(Acknowledge(context=context, alarm_id=alarm_id, revision=revision))
        except Refused as refusal:
            if refusal.code != "revision_outdated" or refusal.alarm is None:
                return False
            revision = refusal.alarm.revision
        else:
            return True
    raise Unavailable(f"the alarm was announced again {RACES} times meanwhile")


def _invalid(errors: list[str]) -> Response:
    logger.warning("an event of PagerDuty is invalid: %s", "; ".join(errors)[:1_000])
    told = InvalidEventAnswer("invalid event", "Event object is invalid", errors)
    # The rest of a body that is too large is not read, so the connection cannot be used again.
    return json_response(told, 400, {"Connection": "close"})
