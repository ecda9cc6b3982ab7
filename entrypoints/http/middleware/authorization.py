"""The door of the HTTP application: who gets in, by what the operations declare."""

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
from entrypoints.http import problems
from entrypoints.http.headers import fields
from entrypoints.http.permissions import Permissions
from entrypoints.process.settings import is_loopback

CALLER = "tocsin.caller"
"""The key in the scope under which the application finds who asks."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Authorization:
    """Lets in who may; everything behind it finds the caller in the scope.

    `local`: there is no authentication, so that only this machine may ask, and no web page under a name of
    its own that was made to point here (DNS rebinding). Changes from pages of other origins than
    `allowed_origins` are refused in any case.
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
        """Answer in the application's place, or let it answer."""
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
            detail = "without authentication Tocsin is asked by a loopback name only, such as 127.0.0.1"
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
        except Unauthenticated as error:
            return await problems.on_known(Request(scope), error)
        except Unavailable as error:
            return await problems.on_known(Request(scope), error)
        if not caller.has(roles):
            return problems.response(403, "forbidden", needs(roles))
        scope[CALLER] = caller
        return None

    def _looks_itself(self, scope: Scope) -> bool:
        return self._permissions.looks_itself(scope["method"], scope["path"])

    def _foreign_host(self, headers: Mapping[str, str]) -> bool:
        return self._local and _is_foreign(headers.get("host", ""))


# The same few names come again and again, and taking one apart costs more than all else the guard does.
@lru_cache(maxsize=256)
def _is_foreign(host: str) -> bool:
    """Tell whether a Host header names anything but this machine itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return True
    return not (is_loopback(name) or name.endswith(".localhost"))


def needs(roles: Roles) -> str:
    """Say which roles would do."""
    return f"this needs the role {' or '.join(sorted(roles))}"


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token or API key of `Authorization: Bearer` (RFC 6750 §2.1)."""
    scheme, _, credential = headers.get("authorization", "").strip().partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def same_origin(headers: Mapping[str, str], allowed: frozenset[str]) -> bool:
    """Browsers tell the page's origin; who tells none is no browser, and no page can misuse it."""
    origin = headers.get("origin", "").lower()
    return not origin or origin in allowed or urlsplit(origin).netloc == headers.get("host", "").lower()


def caller_in(scope: Scope) -> Caller:
    """Return who asks. Raises Unauthenticated: nobody has looked."""
    found: Caller | None = scope.get(CALLER)
    if found is None:
        raise Unauthenticated("token_missing", "this has to be proven by a token or an API key")
    return found
