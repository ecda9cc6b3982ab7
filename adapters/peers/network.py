"""A process among its peers: where it listens, and how it reaches the one that appends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from adapters.peers.client import AppenderConnection, connect
from adapters.peers.server import PeerServer
from core.coordination.ports import Holder
from core.log.forwarding import Submit


@dataclass(frozen=True, slots=True)
class PeerNetwork:
    """See core.application.one_appender.Peers. `address`: where this process listens, `host:port`."""

    address: str
    _key: bytes
    _server: PeerServer

    @classmethod
    @asynccontextmanager
    async def joined(
        cls, key: bytes, holder: str, accept: Submit, *, host: str, port: int
    ) -> AsyncIterator[Self]:
        """Listen while the context lasts. Raises StartupRefused: the address cannot be listened on."""
        server = PeerServer(key, holder, accept)
        async with server.listening(host, port) as address:
            yield cls(address, key, server)

    async def connect(self, holder: Holder) -> AppenderConnection:
        """Connect to the process that appends. Raises Unavailable."""
        return await connect(self._key, holder)

    def admit(self) -> None:
        """Let peers forward to this process from now on."""
        self._server.admit()

    def disconnect(self) -> None:
        """End the connections of all peers, and let none forward until `admit`."""
        self._server.disconnect()
