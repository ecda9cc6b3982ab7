"""Serves the log over HTTP: in pages of JSON, or as an event stream."""

import random
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adapters.streaming.driver import StreamDriver
from adapters.uvicorn.wire import WIRE
from core.access.callers import Caller
from core.alarm.events import Event
from core.application.log_tail import tail_up_to
from core.delivery.encodings.event_stream import EventStream
from core.delivery.encodings.json import JSON
from core.delivery.protocol import Subscribe
from core.delivery.ring import EncodedEvent
from core.lists.filter import FILTER_VALUES, Filter, Matcher
from core.roles import READERS
from entrypoints.http.accept_and_match import accepts
from entrypoints.http.encoded_events import EncodedEvents
from entrypoints.http.operations import AWAY, Routes
from entrypoints.http.problems import Problem
from entrypoints.http.requests import caller
from entrypoints.http.responses import events_response
from entrypoints.http.schemas.answers import EventsAnswer
from entrypoints.http.schemas.parameters import LATEST, EventsParameters, StreamParameters, parameters
from entrypoints.http.state import services_of, state_of

SCAN_EVENTS = 5_000
"""The most events that one request scans for matches."""
BATCH = 500
FIRST_EVENTS = 100
"""How many events a scan reads first: more do not fit the answer if they are large and all match."""
TAIL_TRIES = 3
"""How often to read the tail for a position ahead of it."""
FULL_SECONDS = 5
"""When a rejected client is to try again."""
RETRY_MS = (1_000, 4_000)
"""When a client is to reconnect after a lost connection: spread, or all would come at once."""

EVENT_STREAM = "text/event-stream"
_HEADERS = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-store",
    # nginx would hold small events back.
    "X-Accel-Buffering": "no",
}


routes = Routes("events")


@routes.declare(
    "GET",
    "/v1/events",
    "events",
    "Page through the log, or follow it as an event stream",
    roles=READERS,
    parameters=EventsParameters,
    answers={200: EventsAnswer},
    media=(EVENT_STREAM,),
    codes=(*AWAY, "invalid", "position_ahead", "log_changed", "not_acceptable", "too_many_sessions"),
)
async def list_events(request: Request) -> Response:
    """Return a page of the log by position, or an event stream if the client accepts one."""
    if accepts(request, EVENT_STREAM):
        return _stream(request)
    query = parameters(request, EventsParameters)
    wanted, after = query.filter(_most(request)), query.after or 0
    if query.log not in (None, await services_of(request).log.identity()):
        raise Problem(409, "log_changed", "`log` names another log: start over")
    tail = await _tail(request, after)
    async with state_of(request).log_pages.taken():
        matching, following = await _scan(request, wanted, after, query.limit, tail)
        return events_response(matching, following, max(tail, following))


async def _tail(request: Request, after: int) -> int:
    """Return the log's end. Raises Problem 422 if `after` is beyond it."""
    tail = await tail_up_to(services_of(request).log, after, TAIL_TRIES)
    if after <= tail:
        return tail
    raise Problem(422, "position_ahead", f"position {after} is ahead of the log, which is at {tail}")


async def _scan(
    request: Request, wanted: Filter, after: int, limit: int, tail: int
) -> tuple[list[bytes], int]:
    """Return matching events, encoded, at most `limit`, and the last position that was scanned.

    `tail` was read before the events, so a scan of all the tenant's events reaches it.
    """
    log, tenant, part = services_of(request).log, caller(request).tenant, partial(_part, Matcher(wanted))
    answer, cursor, scanned = EncodedEvents(limit), after, 0
    while scanned < SCAN_EVENTS and not answer.full:
        events = await log.of_tenant(tenant, cursor, BATCH if scanned else min(FIRST_EVENTS, BATCH))
        last = await answer.take(events, part)
        if last is None:
            return answer.events, max(cursor, tail)
        cursor = last.position
        scanned += len(events)
    return answer.events, cursor


def _part(matcher: Matcher, event: Event) -> bytes | None:
    """Return the event as the stream encodes it; None: the filter rejects it."""
    verdict = matcher.verdict(event)
    if verdict == "no":
        return None
    return JSON.event(EncodedEvent(event), left=verdict == "left")


def _stream(request: Request) -> Response:
    driver = state_of(request).stream
    if driver is None or WIRE not in request.scope.get("extensions", {}):
        raise Problem(406, "not_acceptable", "this server has no event streams")
    wanted = _subscription(request)
    who = caller(request)
    refusal = "this process is ending" if driver.draining else driver.refusal(who)
    if refusal is not None:
        raise Problem(503, "too_many_sessions", refusal, {"Retry-After": str(FULL_SECONDS)})
    return EventStreamResponse(driver, who, wanted)


class EventStreamResponse(Response):
    """Starts the response, and leaves the rest to the stream's driver."""

    def __init__(self, driver: StreamDriver, who: Caller, wanted: Subscribe) -> None:
        super().__init__(headers=_HEADERS)
        # The length is unknown.
        del self.headers["content-length"]
        self._driver = driver
        self._who = who
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until either side ends it."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        wire = scope["extensions"][WIRE]
        wire.notice_silence()
        encoding = EventStream(snapshot=self._wanted.snapshot, retry_ms=random.randint(*RETRY_MS))
        await self._driver.follow(receive, wire, self._who, encoding, self._wanted)


def _subscription(request: Request) -> Subscribe:
    """Return the subscription of an event stream's client. Raises Problem 422, InvalidInput."""
    query = parameters(request, StreamParameters)
    after, log, snapshot = query.after, query.log, query.snapshot
    last = request.headers.get("last-event-id")
    if last:
        # It outdates the address, which stays the same when a browser reconnects.
        log, _, text = last.rpartition(":")
        after, snapshot = _position(log, text), False
    most = _most(request)
    wanted = Subscribe(
        id="events",
        filter=query.filter(most),
        after=after,
        log=log,
        snapshot=snapshot,
        conflate=query.conflate,
    )
    wanted.check(most)
    return wanted


def _position(log: str, text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(LATEST))
    if not log or not digits or int(text) > LATEST:
        raise Problem(422, "invalid", "Last-Event-ID must be log:position, as it was sent")
    return int(text)


def _most(request: Request) -> int:
    """Return the most values that a filter may name."""
    driver = state_of(request).stream
    return FILTER_VALUES if driver is None else driver.limits.filter_values
