"""Receiving: carries out the messages of a WebSocket's client, one by one."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from adapters.streaming.draining import send_away
from adapters.streaming.peer import Message, Peer, Receive
from adapters.streaming.sending import Sending
from adapters.streaming.timers import Timers
from core.access.callers import Caller
from core.delivery.delivery import Delivery
from core.delivery.encodings.encoding import WebSocketEncoding
from core.delivery.limits import Limits
from core.delivery.protocol import BAD_MESSAGE, TOO_MANY, Auth, ClientMessage, ErrorMessage
from core.delivery.session import Session
from core.errors import BadMessage, Unauthenticated, Unavailable

Authenticate = Callable[[str], Awaitable[Caller]]
"""Returns the caller with a token or an API key. Raises Unauthenticated, Unavailable."""


class Receiving:
    """Hands the clients' messages to the delivery."""

    def __init__(
        self,
        delivery: Delivery[Peer],
        sending: Sending,
        timers: Timers,
        authenticate: Authenticate,
        limits: Limits,
    ) -> None:
        self._delivery = delivery
        self._sending = sending
        self._timers = timers
        self._authenticate = authenticate
        self._limits = limits

    async def run(self, session: Session[Peer], encoding: WebSocketEncoding, receive: Receive) -> None:
        """Carry out the client's messages until its socket is closed."""
        while True:
            # Keep a receive pending, or pings and closes would go unread.
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            token = self._take(session, encoding, message)
            if token is not None:
                await self._identify(session, token)
            self._sending.wake()
            while session.full and not session.closed:
                await session.peer.wait_for_room()

    def _take(self, session: Session[Peer], encoding: WebSocketEncoding, message: Message) -> str | None:
        """Carry out a message, or return the token in it."""
        if session.peer.allowance.take(1.0, asyncio.get_running_loop().time()) > 0:
            detail = f"a client may send {self._limits.messages_per_second:g} messages a second"
            self._delivery.refuse(session, ErrorMessage(code="too_many_messages", detail=detail), TOO_MANY)
            return None
        try:
            decoded = self._decode(encoding, message)
        except BadMessage as error:
            if session.known:
                refusal = ErrorMessage(code="bad_message", detail=str(error))
                self._delivery.refuse(session, refusal, BAD_MESSAGE)
                return None
            decoded = None
        if isinstance(decoded, Auth):
            return decoded.token
        if decoded is None or not session.known:
            self._delivery.deny(session, "the first message must say who you are")
        else:
            self._delivery.handle(session, decoded)
        return None

    def _decode(self, encoding: WebSocketEncoding, message: Message) -> ClientMessage | None:
        text = message.get("text")
        payload = message["bytes"] if text is None else text
        return encoding.decode(payload, self._limits.message_bytes)

    async def _identify(self, session: Session[Peer], token: str) -> None:
        try:
            caller = await self._authenticate(token)
        except Unauthenticated as error:
            self._delivery.deny(session, error.detail)
        except Unavailable:
            send_away(self._delivery, session)
        else:
            # No await comes before this: a revocation meanwhile would go unnoticed.
            self._delivery.identify(session, caller, datetime.now(UTC))
            self._timers.hurry()
