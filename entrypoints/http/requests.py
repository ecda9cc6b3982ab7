"""Reading requests and writing answers: bodies within bounds, strict JSON, who asks and under which key."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from core.access.callers import ANYONE, Caller
from core.alarm.context import Context, Expected
from core.alarm.events import Actor, ActorKind
from core.log.handler import Outcome
from core.roles import REPORTERS, Role
from entrypoints.http.headers import fields
from entrypoints.http.middleware.authorization import CALLER, COMMAND_ROLES, caller_in, needs
from entrypoints.http.problems import Problem
from entrypoints.http.schemas.answers import CommandAnswer
from entrypoints.process.services import Services

T = TypeVar("T")

BODY_BYTES = 1024 * 1024
KEY_LENGTH = 255

_KEY = re.compile(r"[\x21-\x7e]+")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Without the quotes it is no entity tag; but who leaves them out at a number means nothing else by it.
_ETAG = r'(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"|[0-9]+)'
_TAG = re.compile(_ETAG)
_IF_MATCH = re.compile(rf"[\s,]*{_ETAG}(?:\s*,[\s,]*{_ETAG})*[\s,]*")
# Revisions fit 18 digits by far; a longer number is no revision, and so no match.
_REVISION_TAG = re.compile(r'"?([1-9][0-9]{0,17})"?')
_NO_WEIGHT = re.compile(r"0(\.0{0,3})?")
_encoder = msgspec.json.Encoder()


def caller(request: Request) -> Caller:
    """Return who asks, as the guard found. Raises Unauthenticated where it did not look."""
    return caller_in(request.scope)


async def identified(request: Request, credential: str, roles: frozenset[Role]) -> Caller:
    """Return who asks, by a token or an API key that is not in the header (see guard.OPEN).

    Raises:
        Unauthenticated, Unavailable.
        Problem: 403, it is none of the roles.
    """
    found = request.scope.get(CALLER) or await services(request).authentication.caller(credential)
    if not found.has(roles):
        raise Problem(403, "forbidden", needs(roles))
    request.scope[CALLER] = found
    return found


def check_role(request: Request, command: str) -> None:
    """Raise Problem 403 unless the caller may give the command, by its name."""
    roles = REPORTERS if command == "clear_by_identity" else COMMAND_ROLES[command]
    if not caller(request).has(roles):
        raise Problem(403, "forbidden", needs(roles))


def services(request: Request) -> Services:
    """Return the process's services."""
    found: Services = request.app.state.services
    return found


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer as JSON."""
    return Response(_encoder.encode(content), status, headers, "application/json")


def events_response(events: Sequence[bytes], following: int, position: int) -> Response:
    """Return an EventsAnswer of events that are encoded already."""
    return json_response(
        {"events": [msgspec.Raw(event) for event in events], "next": following, "position": position}
    )


async def body_of(request: Request, limit: int = BODY_BYTES) -> bytes:
    """Read the body, and no more of it than `limit` bytes. Raises Problem 413, 415."""
    # A chunked body declares no length: only without both is there none.
    given = fields(request.scope)
    declared = given.get("content-length", "0")
    if declared == "0" and "content-type" not in given and "transfer-encoding" not in given:
        return b""
    kind = given.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "unsupported_media_type", "send the body as application/json")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read, so the connection cannot be used again.
    return Problem(413, "body_too_large", f"a body has at most {limit} bytes", {"Connection": "close"})


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body. Raises Problem 400 if it is not JSON, 422 if it is not of the decoder's type."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid", str(error)) from None
    except RecursionError:
        raise Problem(422, "invalid", "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "malformed_json", str(error)) from None


def context(
    request: Request, body: bytes, actor_kind: ActorKind, actor: str | None, occurred_at: datetime | None
) -> Context:
    """Return the context of a command that came with the request.

    `actor`: who it is from by its own words, which count where there is no authentication.
    """
    who = caller(request)
    offered = services(request)
    key = idempotency_key(request)
    return Context(
        event_id=offered.new_event_id(),
        tenant=who.tenant,
        actor=actor_of(who, actor_kind, actor),
        now=offered.now(),
        occurred_at=occurred_at,
        command_id=key,
        command_hash=None if key is None else _hash(request, body),
        trace=_trace(request),
        expected=_expected(request),
    )


def actor_of(who: Caller, kind: ActorKind, named: str | None = None) -> Actor:
    """Return who acts: the caller, or, where nobody knows callers, the one that was named."""
    return Actor(named if who is ANYONE and named else who.subject, kind)


def of_item(made: Context, index: int, expected: int | None) -> Context:
    """Return the context of the command at `index` of several: its Idempotency-Key is key/index."""
    return replace(
        made,
        command_id=None if made.command_id is None else f"{made.command_id}/{index}",
        expected=None if expected is None else frozenset({expected}),
    )


def answer(outcome: Outcome) -> Response:
    """Return what became of a command."""
    body = CommandAnswer(outcome.event is not None, outcome.alarm.position, outcome.alarm)
    return json_response(body, status_of(outcome), {"ETag": f'"{outcome.alarm.revision}"'})


def status_of(outcome: Outcome) -> Literal[200, 201]:
    """Return 201 for a new activation of an alarm, else 200."""
    return 201 if outcome.event is not None and outcome.event.type == "alarm.raised" else 200


def check_acceptable(request: Request) -> None:
    """Raise Problem 406 where the client takes no JSON (RFC 9110 §12.5.1)."""
    given = fields(request.scope).get("accept")
    if given is None or any(_takes_json(each) for each in given.split(",")):
        return
    raise Problem(406, "not_acceptable", "the answer is application/json")


def _takes_json(media_range: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in media_range.split(";"))
    weights = [part[2:] for part in parameters if part.startswith("q=")]
    never = bool(weights) and _NO_WEIGHT.fullmatch(weights[0]) is not None
    return kind in ("", "*/*", "application/*", "application/json") and not never


def _expected(request: Request) -> Expected | None:
    """Return the revisions that If-Match names (RFC 9110 §13.1.1); a weak validator matches none."""
    given = fields(request.scope).get("if-match")
    if given is None:
        return None
    text = given.strip()
    if text == "*":
        return "any"
    if not _IF_MATCH.fullmatch(text):
        raise Problem(422, "invalid", 'If-Match must be * or a list of revisions in quotes: "3"')
    named = (_REVISION_TAG.fullmatch(tag) for tag in _TAG.findall(text))
    return frozenset(int(revision[1]) for revision in named if revision is not None)


def idempotency_key(request: Request) -> str | None:
    """Return the request's Idempotency-Key, if it has one. Raises Problem 422: it is out of bounds."""
    key = fields(request.scope).get("idempotency-key")
    if key is None:
        return None
    if len(key) > KEY_LENGTH or not _KEY.fullmatch(key):
        raise Problem(422, "invalid", f"an Idempotency-Key has 1 to {KEY_LENGTH} visible ASCII characters")
    return key


def _hash(request: Request, body: bytes) -> str:
    asked = f"{request.method} {request.url.path}\n"
    # Another condition is another request; the hashes of those without one stay as they were.
    conditions = fields(request.scope).get("if-match")
    if conditions is not None:
        asked += f"If-Match: {conditions}\n"
    return hashlib.sha256(asked.encode() + body).hexdigest()


def _trace(request: Request) -> str | None:
    trace = fields(request.scope).get("traceparent", "")
    return trace if _TRACEPARENT.fullmatch(trace) else None
