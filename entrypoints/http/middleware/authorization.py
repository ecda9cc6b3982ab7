"""Authorizes HTTP requests: lets callers through by their roles."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.access.callers import Caller
from core.application.authentication import Authentication
from core.errors import Unauthenticated, Unavailable
from core.roles import Roles
from entrypoints.http import audit, problems
from entrypoints.http.headers import fields
from entrypoints.http.loopback import is_loopback
from entrypoints.http.permissions import Permissions

CALLER = "tocsin.caller"
"""The scope's key for the caller."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Authorization:
    """Lets authorized requests through, and puts the caller into the scope.

    `local`: there is no authentication, so only requests to a loopback name pass. That keeps out web pages
    whose own name was made to point here (DNS rebinding). Changes from pages of origins other than the
    server's own and `allowed_origins` are always refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        authentication: Authentication,
        permissions: Permissions,
        allowed_origins: Collection[str] = (),
        *,
        local: bool = False,
    ) -> None:
        self._app = app
        self._authentication = authentication
        self._permissions = permissions
        self._allowed = frozenset(origin.lower() for origin in allowed_origins)
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or let the application answer."""
        if scope["type"] == "http":
            refusal = await self._refusal(scope)
            await (self._app if refusal is None else refusal)(scope, receive, send)
        elif scope["type"] == "websocket" and self._foreign_host(fields(scope)):
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "this host name is not served"})
        else:
            await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = fields(scope)
        if self._foreign_host(headers):
            detail = "without authentication Tocsin answers at loopback names only, such as 127.0.0.1"
            return problems.response(403, "forbidden_host", detail)
        if scope["method"] not in _SAFE and not same_origin(headers, self._allowed):
            return problems.response(403, "forbidden_origin", "pages of this origin may change nothing here")
        roles = self._permissions.roles_for(scope["method"], scope["path"])
        return None if roles is None else await self._check(scope, headers, roles)

    async def _check(self, scope: Scope, headers: Mapping[str, str], roles: Roles) -> Response | None:
        credential = bearer(headers)
        if credential is None and self._authentication.required and self._looks_itself(scope):
            return None
        try:
            caller = await self._authentication.caller(credential)
        except (Unauthenticated, Unavailable) as error:
            return await problems.on_known(Request(scope), error)
        if not caller.has(roles):
            matched = self._permissions.operation_at(scope["method"], scope["path"])
            if matched is not None:
                audit.refused(scope, caller, matched.operation, next(iter(matched.parameters.values()), None))
            return problems.response(403, "forbidden", needs(roles))
        scope[CALLER] = caller
        return None

    def _looks_itself(self, scope: Scope) -> bool:
        return self._permissions.looks_itself(scope["method"], scope["path"])

    def _foreign_host(self, headers: Mapping[str, str]) -> bool:
        return self._local and _is_foreign(headers.get("host", ""))


# Few names come again and again, and parsing one costs more than the rest of the guard.
@lru_cache(maxsize=256)
def _is_foreign(host: str) -> bool:
    """Return whether a Host header names anything but this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return True
    return not (is_loopback(name) or name.endswith(".localhost"))


def needs(roles: Roles) -> str:
    """Return the detail that names the required roles."""
    return f"this needs the role {' or '.join(sorted(roles))}"


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token or API key of `Authorization: Bearer` (RFC 6750 §2.1)."""
    scheme, _, credential = headers.get("authorization", "").strip().partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def same_origin(headers: Mapping[str, str], allowed: frozenset[str]) -> bool:
    """Return whether no page of a foreign origin asks; a client that names no origin is no browser."""
    origin = headers.get("origin", "").lower()
    return not origin or origin in allowed or urlsplit(origin).netloc == headers.get("host", "").lower()


def caller_in(scope: Scope) -> Caller:
    """Return the caller in the scope. Raises Unauthenticated: there is none."""
    caller: Caller | None = scope.get(CALLER)
    if caller is None:
        raise Unauthenticated("token_missing", "this needs a token or an API key")
    return caller
