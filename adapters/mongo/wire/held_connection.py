"""One connection to the primary that the driver opened, driven by the event loop."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import bson
from bson.codec_options import CodecOptions
from pymongo.errors import AutoReconnect, DocumentTooLarge, NetworkTimeout, OperationFailure

from adapters.mongo.client import SOCKET_MS
from adapters.mongo.wire.channel import Channel
from adapters.mongo.wire.checkout import Checkout
from adapters.mongo.wire.messages import Documents, message

_REQUEST_IDS = count(1)
_REQUEST_ID_BITS = 0x7FFF_FFFF


class HeldConnection:
    """Runs one command at a time; what is sent once is never sent again.

    The connection is closed by whatever ends a command without its answer: a timeout or a cancellation too,
    because the answer may yet come.
    """

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._channel = Channel(checkout.socket, checkout.most_bytes)
        self._loop = asyncio.get_running_loop()
        self._given_back = False
        checkout.on_interrupt(self._interrupt)

    @property
    def closed(self) -> bool:
        """Whether it was closed, or broke."""
        return self._channel.closed

    @property
    def usable(self) -> bool:
        """Whether it is open and leads to the primary, as far as the driver knows."""
        return not self._channel.closed and self._checkout.current

    async def run(
        self, database: str, command: Mapping[str, Any], codec: CodecOptions[Any], documents: Documents | None
    ) -> Mapping[str, Any]:
        """Run a command; see Commands.run."""
        request_id = next(_REQUEST_IDS) & _REQUEST_ID_BITS
        whole = {**command, "$db": database, **self._checkout.gossip()}
        sent = message(request_id, bson.encode(whole), documents)
        if len(sent) > self._checkout.most_bytes:
            raise DocumentTooLarge(f"a command of {len(sent)} bytes; {self._checkout.most_bytes} are allowed")
        telemetry = self._checkout.telemetry(whole, database, request_id)
        try:
            answer: Mapping[str, Any] = await self._answer(request_id, sent, codec)
        except BaseException as error:
            telemetry.failed(error)
            # An error that the server answered leaves the connection as good as before.
            if not isinstance(error, OperationFailure):
                self.close(error)
            raise
        telemetry.succeeded(answer)
        return answer

    def close(self, error: BaseException | None = None) -> None:
        """Close it; after some errors the driver looks for another primary. A command under way fails."""
        self._channel.fail(ConnectionAbortedError("the connection was closed"))
        if not self._given_back:
            self._given_back = True
            self._checkout.give_back(error)

    async def _answer(self, request_id: int, sent: bytes, codec: CodecOptions[Any]) -> Any:
        address = self._checkout.address
        try:
            received = await self._channel.ask(request_id, sent, SOCKET_MS / 1_000)
        except TimeoutError as error:
            raise NetworkTimeout(f"{address}: {error}") from error
        except OSError as error:
            raise AutoReconnect(f"{address}: {error}") from error
        answer = bson.decode(received, codec)
        self._checkout.accept(answer)
        return answer

    def _interrupt(self) -> None:
        # The driver calls from its threads; the loop may be closed by the time the last of them ends.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(
                self._channel.fail, ConnectionAbortedError("the driver lost the server")
            )
