"""The log over HTTP: in pages as JSON, or as an event stream that goes on (design: HTTP)."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adapters.sse.protocol import WIRE
from adapters.websocket.driver import StreamDriver
from core.callers import Caller
from core.delivery.encoding import JSON
from core.delivery.event_stream import EventStream
from core.delivery.protocol import Subscribe
from core.delivery.ring import Entry
from core.events import Event
from core.filter import Filter, Matcher
from entrypoints.http.exchange import caller, json_response, services
from entrypoints.http.parameters import DEFAULT_LIMIT, LATEST, LIMIT
from entrypoints.http.problems import Problem

SCAN_EVENTS = 5_000
"""How many of its tenant's events one request looks through for those that match."""
BATCH = 500
TAIL_TRIES = 3
"""How often the tail is read for a position that is ahead of it: a new primary's view may lag."""
TAIL_SECONDS = 0.2
FULL_SECONDS = 5
"""When a client is to come back that was turned away."""
RETRY_MS = (1_000, 4_000)
"""When a client is to come back after a lost connection: spread, or all would come at once."""

_SEVERAL = {
    "source": "sources",
    "sources": "sources",
    "type": "types",
    "types": "types",
    "alarm_id": "alarm_ids",
    "alarm_ids": "alarm_ids",
}
_FILTER = (*_SEVERAL, "min_severity")
_PAGE = ("after", "log", "limit")
_STREAM = ("after", "log", "snapshot", "conflate")
_LABEL = "label."
_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # nginx would hold back what is small.
    "X-Accel-Buffering": "no",
}

Parameters = Mapping[str, Any]


async def list_events(request: Request) -> Response:
    """Return a page of the log, by position; or follow it, for who accepts an event stream."""
    if _wants_stream(request):
        return _stream(request)
    asked = _parameters(request, _PAGE)
    wanted, limit = _filter(request, asked), _whole(asked, "limit", DEFAULT_LIMIT, 1, LIMIT)
    after = _whole(asked, "after", 0, 0, LATEST)
    if asked.get("log") not in (None, await services(request).log.identity()):
        raise Problem(409, "log_changed", "this is another log than `log` names: start over")
    tail = await _tail(request, after)
    found, following = await _scan(request, wanted, after, limit, tail)
    return json_response({"events": found, "next": following, "position": max(tail, following)})


async def _tail(request: Request, after: int) -> int:
    """Return the log's end. Raises Problem 422 if `after` is beyond it."""
    for tries in range(TAIL_TRIES):
        if tries:
            await asyncio.sleep(TAIL_SECONDS)
        tail = (await services(request).log.tail()).position
        if after <= tail:
            return tail
    raise Problem(422, "position_ahead", f"position {after} is ahead of the log, which is at {tail}")


async def _scan(
    request: Request, wanted: Filter, after: int, limit: int, tail: int
) -> tuple[list[msgspec.Raw], int]:
    """Return at most `limit` of the events that match, encoded, and the position that was looked at last.

    `tail` was read before: whoever has all of the tenant's events there are has everything up to it.
    """
    log, tenant, matcher = services(request).log, caller(request).tenant, Matcher(wanted)
    found: list[msgspec.Raw] = []
    cursor = after
    for _ in range(SCAN_EVENTS // BATCH):
        events = await log.of_tenant(tenant, cursor, BATCH)
        for event in events:
            cursor = event.position
            part = _part(matcher, event)
            if part is not None:
                found.append(part)
                if len(found) == limit:
                    return found, cursor
        if not events:
            return found, max(cursor, tail)
    return found, cursor


def _part(matcher: Matcher, event: Event) -> msgspec.Raw | None:
    """Return the event as it is on the stream; None: it is not for the filter."""
    verdict = matcher.verdict(event)
    if verdict == "no":
        return None
    part = JSON.event(Entry(event))
    return msgspec.Raw(JSON.left(part) if verdict == "left" else part)


def _stream(request: Request) -> Response:
    asked = _parameters(request, _STREAM)
    driver: StreamDriver | None = request.app.state.stream
    if driver is None or WIRE not in request.scope.get("extensions", {}):
        raise Problem(406, "not_acceptable", "this server has no event streams")
    wanted = _subscription(request, asked)
    if driver.full or driver.draining:
        detail = "this process is ending" if driver.draining else "this process serves no more sessions"
        raise Problem(503, "too_many_sessions", detail, {"Retry-After": str(FULL_SECONDS)})
    return EventStreamResponse(driver, caller(request), wanted)


class EventStreamResponse(Response):
    """Starts the response, and leaves the rest to the driver of the sessions."""

    def __init__(self, driver: StreamDriver, who: Caller, wanted: Subscribe) -> None:
        super().__init__(headers=_HEADERS)
        # Its length is not known.
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


def _subscription(request: Request, asked: Parameters) -> Subscribe:
    """Return what a client of an event stream subscribes to. Raises Problem 422."""
    wanted = _filter(request, asked)
    after, log = asked.get("after"), asked.get("log")
    snapshot = _flag(asked, "snapshot")
    last = request.headers.get("last-event-id")
    if last:
        # It says more than the address does, which stays the same when a browser comes back.
        log, _, after = last.rpartition(":")
        snapshot = False
        if not log or not after:
            raise Problem(422, "invalid", "Last-Event-ID must be log:position, as it was sent")
    elif snapshot and after is not None:
        raise Problem(422, "invalid", "a snapshot starts over: leave `after` out")
    position = None if after is None else _whole({"after": after}, "after", 0, 0, LATEST)
    return Subscribe(
        id="events",
        filter=wanted,
        after=position,
        log=log,
        snapshot=snapshot,
        conflate=_flag(asked, "conflate"),
    )


def _wants_stream(request: Request) -> bool:
    for kind in ",".join(request.headers.getlist("accept")).lower().split(","):
        name, _, parameters = kind.partition(";")
        if name.strip() == "text/event-stream":
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _parameters(request: Request, others: Sequence[str]) -> Parameters:
    """Return the query parameters, lists under the name that filters have for them. Raises Problem 422."""
    asked: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in _SEVERAL:
            asked.setdefault(_SEVERAL[name], set()).update(_split(value))
        elif name.startswith(_LABEL):
            _once(asked.setdefault("labels", {}), name.removeprefix(_LABEL), value)
        elif name == "min_severity" or name in others:
            _once(asked, name, value)
        else:
            known = ", ".join((*_FILTER, "label.NAME", *others))
            raise Problem(422, "invalid", f"unknown query parameter {name[:64]!r}; there are {known}")
    return asked


def _filter(request: Request, asked: Parameters) -> Filter:
    """Return the filter that is asked for. Raises Problem 422, InvalidInput."""
    given = {name: value for name, value in asked.items() if name in Filter.__struct_fields__}
    try:
        wanted = msgspec.convert(given, Filter)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid", str(error)) from None
    driver: StreamDriver | None = request.app.state.stream
    wanted.check(*(() if driver is None else (driver.limits.filter_values,)))
    return wanted


def _once(values: dict[str, Any], name: str, value: str) -> None:
    # Only one of several would count, and which one is anybody's guess.
    if name in values:
        raise Problem(422, "invalid", f"query parameter {name[:64]!r} is given more than once")
    values[name] = value


def _split(text: str) -> Iterator[str]:
    r"""Yield what stands between commas; `\,` is a comma of a value."""
    return (part.replace("\0", ",") for part in text.replace("\\,", "\0").split(",") if part)


def _whole(asked: Parameters, name: str, default: int, minimum: int, maximum: int) -> int:
    text = asked.get(name)
    if text is None:
        return default
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(maximum))
    if not (digits and minimum <= int(text) <= maximum):
        raise Problem(422, "invalid", f"{name} must be a whole number from {minimum} to {maximum}")
    return int(text)


def _flag(asked: Parameters, name: str) -> bool:
    text = asked.get(name, "false")
    if text not in ("true", "false"):
        raise Problem(422, "invalid", f"{name} must be true or false")
    return bool(text == "true")


ROUTES = [Route("/v1/events", list_events)]
