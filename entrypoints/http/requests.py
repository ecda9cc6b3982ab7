"""Reads requests: bounded bodies, strict JSON, callers and Idempotency-Keys."""

import hashlib
import re
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec.structs import replace
from starlette.requests import Request

from core.access.callers import ANYONE, Caller
from core.alarm.alarm import ALARM_ID_LENGTH
from core.alarm.commands import Command
from core.alarm.context import Context
from core.alarm.events import Actor, ActorKind
from core.roles import Roles
from entrypoints.http.accept_and_match import expected
from entrypoints.http.arriving import read_body
from entrypoints.http.headers import fields
from entrypoints.http.limits import BODY_BYTES
from entrypoints.http.middleware.authorization import CALLER, caller_in, needs
from entrypoints.http.problems import Problem
from entrypoints.http.state import services_of

T = TypeVar("T")

KEY_LENGTH = 255

_KEY = re.compile(r"[\x21-\x7e]+")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def caller(request: Request) -> Caller:
    """Return the caller that the guard found. Raises Unauthenticated: the guard did not look."""
    return caller_in(request.scope)


async def identified(request: Request, credential: str, roles: Roles) -> Caller:
    """Return the caller by a token or API key that is not in the header (see Details.credential_in_body).

    Raises:
        Unauthenticated, Unavailable.
        Problem: 403, the caller has none of the roles.
    """
    found = request.scope.get(CALLER) or await services_of(request).authentication.caller(credential)
    if not found.has(roles):
        raise Problem(403, "forbidden", needs(roles))
    request.scope[CALLER] = found
    return found


async def body_of(request: Request, limit: int = BODY_BYTES) -> bytes:
    """Read the body, at most `limit` bytes of it. Raises Problem 408, 413, 415."""
    # A chunked body declares no length, but a transfer encoding.
    headers = fields(request.scope)
    declared = headers.get("content-length", "0")
    if declared == "0" and "content-type" not in headers and "transfer-encoding" not in headers:
        return b""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "unsupported_media_type", "send the body as application/json")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = await read_body(request, limit)
    if len(body) > limit:
        raise _too_large(limit)
    return body


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


def alarm_id_of(request: Request) -> str:
    """Return the alarm's id in the path. Raises Problem 404: it is too long to be one."""
    alarm_id: str = request.path_params["alarm_id"]
    if len(alarm_id) > ALARM_ID_LENGTH:
        raise Problem(404, "unknown_alarm", "there is no such alarm: an id is a UUID")
    return alarm_id


def context(
    request: Request, body: bytes, actor_kind: ActorKind, actor: str | None, occurred_at: datetime | None
) -> Context:
    """Return the context of a command of the request.

    `actor`: the actor that the command itself names, which counts without authentication.
    """
    who = caller(request)
    services = services_of(request)
    key = idempotency_key(request)
    return Context(
        event_id=services.ids.new(),
        tenant=who.tenant,
        actor=actor_of(who, actor_kind, actor),
        now=services.clock.now(),
        occurred_at=occurred_at,
        command_id=key,
        command_hash=None if key is None else _hash(request, body),
        trace=_trace(request),
        expected=expected(request),
        administrator=who is not ANYONE and "admin" in who.roles,
    )


def actor_of(who: Caller, kind: ActorKind, named: str | None = None) -> Actor:
    """Return the actor: the caller, or without authentication the one that the command names."""
    return Actor(named if who is ANYONE and named else who.subject, kind)


def kind_of(who: Caller, command: type[Command]) -> ActorKind:
    """Return the kind of actor that the caller is for a command by an alarm's id.

    Without authentication sources cannot be told from operators, so it is operator.
    """
    by_source = "source" in command.roles and "source" in who.roles and who is not ANYONE
    return "source" if by_source else "operator"


def of_item(made: Context, index: int, revision: int | None) -> Context:
    """Return the context of the command at `index` of several: its Idempotency-Key is key/index."""
    return replace(
        made,
        command_id=None if made.command_id is None else f"{made.command_id}/{index}",
        expected=None if revision is None else frozenset({revision}),
    )


def idempotency_key(request: Request) -> str | None:
    """Return the request's Idempotency-Key, if any. Raises Problem 422: the key is out of bounds."""
    key = fields(request.scope).get("idempotency-key")
    if key is None:
        return None
    if len(key) > KEY_LENGTH or not _KEY.fullmatch(key):
        raise Problem(422, "invalid", f"an Idempotency-Key has 1 to {KEY_LENGTH} visible ASCII characters")
    return key


def _hash(request: Request, body: bytes) -> str:
    hashed = f"{request.method} {request.url.path}\n"
    # Another condition makes another request. Without one the hash stays what older versions made it.
    conditions = fields(request.scope).get("if-match")
    if conditions is not None:
        hashed += f"If-Match: {conditions}\n"
    return hashlib.sha256(hashed.encode() + body).hexdigest()


def _trace(request: Request) -> str | None:
    trace = fields(request.scope).get("traceparent", "")
    return trace if _TRACEPARENT.fullmatch(trace) else None
