"""Tells whether this process is ready for clients."""

from typing import Protocol

from core.application.feed import Feed
from core.application.workers.worker import Worker


class Clients(Protocol):
    """The clients that this process serves."""

    @property
    def draining(self) -> bool:
        """Whether every client is being sent away."""
        ...

    async def drain(self) -> None:
        """Send every client away, a few at a time, and accept no more."""
        ...


class Readiness:
    """Gathers the reasons not to serve: draining, the feed, the projector."""

    def __init__(self, feed: Feed, projector: Worker, clients: Clients) -> None:
        self._feed = feed
        self._projector = projector
        self._clients = clients

    def reasons(self) -> list[str]:
        """Return one line for each reason not to serve; none: the process is ready."""
        reasons = ["it is draining: send no more clients here"] if self._clients.draining else []
        if self._feed.stopped is not None:
            reasons.append(f"the feed: stopped: {self._feed.stopped}")
        elif not self._feed.live:
            reasons.append("the feed is not connected to MongoDB")
        if self._projector.task.stopped:
            reasons.append(f"the projector: {self._projector.status}")
        return reasons

    async def keep(self) -> None:
        """Run the feed; when it stops at an event of a newer version, send the clients to newer processes."""
        await self._feed.run()
        await self._clients.drain()
