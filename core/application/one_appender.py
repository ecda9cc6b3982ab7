"""Lets one process append for all: whoever holds the lease; the others forward to it (ADR 0035).

The lease is courtesy: two that append at once are as exact as one, only slower.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from core.application.waiting import cancelled, first_of, loop_time
from core.application.workers.leader import Candidate, LeaderTask
from core.coordination.ports import AppenderLease, Holder, Lease
from core.errors import Unavailable
from core.log.forwarding import Forwarder
from core.log.submission import Submission

logger = logging.getLogger("tocsin.appender")

LEASE = "appender"
LOOK_SECONDS = 0.5
"""How often a process without a connection looks for the one that appends."""
AVOID_SECONDS = 10.0
"""How long a process that could not be reached is left alone."""


class Connection(Protocol):
    """A proved connection to the process that appends."""

    @property
    def forwarder(self) -> Forwarder:
        """What is forwarded over it."""
        ...

    async def closed(self) -> None:
        """Wait until it is gone."""
        ...

    def abort(self) -> None:
        """End it."""
        ...


class Peers(Protocol):
    """This process among its peers."""

    @property
    def address(self) -> str:
        """Where it listens for the others, `host:port`."""
        ...

    async def connect(self, holder: Holder) -> Connection:
        """Connect to the process that appends, in bounded time. Raises Unavailable."""
        ...

    def admit(self) -> None:
        """Let peers forward to this process from now on."""
        ...

    def disconnect(self) -> None:
        """End the connections of all peers, and admit none: they look for the process that appends anew."""
        ...


class Forwarding(Protocol):
    """What appends or forwards (see core.application.appending.Appending)."""

    def forward_through(self, forwarder: Forwarder | None) -> None:
        """Forward what comes from now on; None: append it here."""
        ...

    def take_back(self, submissions: Sequence[Submission]) -> None:
        """Append here what was forwarded and may have landed."""
        ...


class OneAppender:
    """Holds the lease if it is free, and forwards through its holder otherwise."""

    def __init__(
        self, candidate: Candidate, lease: AppenderLease, peers: Peers, appending: Forwarding
    ) -> None:
        self._lease = lease
        self._own = candidate.holder
        self._peers = peers
        self._appending = appending
        self._task = LeaderTask(candidate, LEASE, self._hold)
        self._connection: Connection | None = None
        self._left = asyncio.Event()
        # The holder that could not be reached, and the loop's time until which it is left alone.
        self._avoided, self._avoided_until = "", 0.0

    async def hold(self) -> None:
        """Hold the lease whenever it is free, until `leave`."""
        holding = asyncio.ensure_future(self._task.run())
        try:
            await first_of(self._left.wait(), watched=[holding])
        finally:
            await cancelled([holding])
        if not holding.cancelled():
            holding.result()

    def leave(self) -> None:
        """Give the lease up for good, so that another process takes over before this one ends."""
        self._left.set()

    def warnings(self) -> list[str]:
        """Say so if the process that appends for all cannot be reached from here."""
        if self._task.leading or self._connection is not None or not self._avoiding:
            return []
        return ["the process that appends for all cannot be reached from here, so commands are slower"]

    async def follow(self) -> None:
        """Keep a connection to the holder of the lease, for ever."""
        while True:
            holder = None if self._task.leading else await self._found()
            if holder is not None:
                await self._forward_to(holder)
            await asyncio.sleep(LOOK_SECONDS)

    async def _hold(self, lease: Lease) -> None:
        if self._connection is not None:
            self._connection.abort()
        self._peers.admit()
        try:
            await self._announce(lease)
            await asyncio.Event().wait()
        finally:
            self._peers.disconnect()

    async def _announce(self, lease: Lease) -> None:
        while True:
            try:
                await self._lease.announce(lease, self._peers.address)
            except Unavailable:
                # Without MongoDB for long, the lease ends and this with it.
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return

    async def _found(self) -> Holder | None:
        try:
            holder = await self._lease.holder(LEASE)
        except Unavailable:
            return None
        if holder is None or holder.name == self._own:
            return None
        return None if holder.name == self._avoided and self._avoiding else holder

    @property
    def _avoiding(self) -> bool:
        return bool(self._avoided) and loop_time() < self._avoided_until

    async def _forward_to(self, holder: Holder) -> None:
        try:
            connection = await self._peers.connect(holder)
        except Unavailable as error:
            if holder.name != self._avoided:
                logger.info("the process that appends cannot be reached, so this one appends too: %s", error)
            self._avoided, self._avoided_until = holder.name, loop_time() + AVOID_SECONDS
            return
        if self._task.leading:
            # The lease has changed hands meanwhile: whoever leads must not forward.
            connection.abort()
            return
        self._avoided = ""
        logger.info("forwarding to %s at %s", holder.name, holder.address)
        self._connection = connection
        self._appending.forward_through(connection.forwarder)
        try:
            await connection.closed()
        finally:
            self._connection = None
            connection.abort()
            self._appending.forward_through(None)
            self._appending.take_back(connection.forwarder.lost())
