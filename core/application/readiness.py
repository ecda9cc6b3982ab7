"""Whether this process is to be sent clients."""

from typing import Protocol

from core.application.feed import Feed
from core.application.workers.worker import Worker


class Clients(Protocol):
    """The clients that this process serves."""

    @property
    def draining(self) -> bool:
        """Whether every client is sent away."""
        ...

    async def drain(self) -> None:
        """Send every client away, a few at a time, and take on none any more."""
        ...


class Readiness:
    """What keeps the process from serving: clients that are sent away, its feed, its projector."""

    def __init__(self, feed: Feed, projector: Worker, clients: Clients) -> None:
        self._feed = feed
        self._projector = projector
        self._clients = clients

    def reasons(self) -> list[str]:
        """Return what keeps the process from serving, one line each; none: it is ready."""
        reasons = ["it is draining: send no more clients here"] if self._clients.draining else []
        if self._feed.stopped is not None:
            reasons.append(f"the feed: stopped: {self._feed.stopped}")
        elif not self._feed.live:
            reasons.append("the feed is not connected to MongoDB")
        if self._projector.task.stopped:
            reasons.append(f"the projector: {self._projector.status}")
        return reasons

    async def keep(self) -> None:
        """Run the feed; when it stops at an event that only a newer process can read, send clients there."""
        await self._feed.run()
        await self._clients.drain()
