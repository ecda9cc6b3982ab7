"""The ports of the application's parts; those of the domain's packages are beside the domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.alarm.events import Event
from core.coordination.ports import Checkpoint, Checkpoints, Lease
from core.log.ports import StreamReader


class StoreClock(Protocol):
    """The store's clock, which all processes share."""

    async def now(self) -> datetime:
        """Return its time (UTC) at some moment of this call. Raises Unavailable."""
        ...


class Clients(Protocol):
    """The clients that this process serves."""

    @property
    def draining(self) -> bool:
        """Whether every client is being sent away."""
        ...

    async def drain(self) -> None:
        """Send every client away, a few at a time, and accept no more."""
        ...


@dataclass(frozen=True, slots=True)
class ReadModelNames:
    """The names of a read model's checkpoint and of its projector's lease."""

    projection: str
    lease: str


class ReadModel(Protocol):
    """A read model. Its writes can be repeated: an event that comes again changes nothing.

    It remembers what it has taken in, so it belongs to one projector. After an error, call `settle` before
    anything else, and begin again behind the checkpoint.
    """

    @property
    def names(self) -> ReadModelNames:
        """The names of its checkpoint and its lease."""
        ...

    @property
    def checkpoints(self) -> Checkpoints:
        """The store of its checkpoint."""
        ...

    async def take(self, log: StreamReader, events: Sequence[Event], generation: int) -> None:
        """Take in the next events, in order; readers see them after `store`.

        Raises:
            UnknownEvent: an event is of a newer version.
            Unavailable.
        """
        ...

    async def store(self) -> float:
        """Write all that was taken in; return its pace. Raises Unavailable.

        The pace: if no more events are waiting, the next call may come so many seconds after this one began.
        """
        ...

    async def settle(self) -> None:
        """Forget what was not stored, and finish what a rebuild left to do. Raises Unavailable."""
        ...

    async def start_over(self, lease: Lease, at: Checkpoint) -> None:
        """Begin at the log's beginning: the model belongs to another log. Raises Unavailable."""
        ...
