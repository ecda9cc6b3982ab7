"""`GET /v1/stream`: the WebSocket of operators' clients."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.streaming.driver import StreamDriver
from adapters.uvicorn.wire import WIRE
from core.access.callers import ANYONE, Caller
from core.application.authentication import Authentication
from core.delivery.encodings.encoding import WebSocketEncoding
from core.delivery.encodings.json import JSON
from core.delivery.encodings.subprotocols import ENCODINGS
from core.delivery.protocol import BAD_MESSAGE, FORBIDDEN, RESTART, UNAUTHENTICATED
from core.errors import Unauthenticated, Unavailable
from entrypoints.http.middleware.authorization import bearer, same_origin


def stream_endpoint(
    driver: StreamDriver,
    *,
    allowed_origins: Collection[str] = (),
    authentication: Authentication | None = None,
) -> ASGIApp:
    """Return the ASGI application that hands accepted sockets to the driver.

    The server must run with `StreamProtocol` as its WebSocket protocol.

    `allowed_origins`: `https://host[:port]` of pages on other hosts that may connect. `authentication` None:
    everybody may connect.
    """
    allowed = frozenset(origin.lower() for origin in allowed_origins)

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        subprotocol, encoding = _chosen(scope["subprotocols"])
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        if not same_origin(Headers(scope=scope), allowed):
            # A browser takes a refused handshake for a lost connection, and would reconnect.
            reason = "pages of this origin may not connect"
            await send({"type": "websocket.close", "code": FORBIDDEN, "reason": reason})
        elif encoding is None:
            reason = f"known subprotocols: {', '.join(ENCODINGS)}"
            await send({"type": "websocket.close", "code": BAD_MESSAGE, "reason": reason})
        else:
            wire = scope["extensions"][WIRE]
            try:
                caller = await _caller(authentication, Headers(scope=scope))
            except Unauthenticated as error:
                await send({"type": "websocket.close", "code": UNAUTHENTICATED, "reason": error.detail})
            except Unavailable:
                await send({"type": "websocket.close", "code": RESTART, "reason": "unavailable"})
            else:
                # At once: a revocation between authentication and session would go unnoticed.
                await driver.serve(receive, wire, caller, encoding)

    return _App(endpoint)


class _App:
    """Wraps the endpoint in an object, because Starlette's route would wrap the sockets of a function."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _chosen(offered: Collection[str]) -> tuple[str | None, WebSocketEncoding | None]:
    """Return the first known subprotocol and its encoding; JSON for a client that offers none."""
    if not offered:
        return None, JSON
    name = next((name for name in offered if name in ENCODINGS), None)
    return name, None if name is None else ENCODINGS[name]


async def _caller(authentication: Authentication | None, headers: Headers) -> Caller | None:
    """Return the caller by the header; None: the client authenticates in its first message."""
    if authentication is None:
        return ANYONE
    if authentication.required and "authorization" not in headers:
        return None
    return await authentication.caller(bearer(headers))
