"""The ports of the application's parts; those of the domain's packages are beside the domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from core.alarm.events import Event
from core.coordination.ports import Checkpoint, Checkpoints, Lease
from core.log.ports import StreamReader

TURNS = "turns"
"""The doorbell's topic that rings when a process asks for its turn."""


class TurnRequest(msgspec.Struct, frozen=True, gc=False):
    """A process's request that others hold back their appends for `seconds`, until its event has landed.

    `waited`: for how many seconds that event has waited.
    """

    process: str
    event_id: str
    waited: float
    seconds: float


class TurnRequests(Protocol):
    """The newest request of any process. Requests may be lost: nothing may rest on them."""

    async def ask(self, request: TurnRequest) -> None:
        """Replace the newest request, and ring the doorbell for TURNS. Raises Unavailable."""
        ...

    async def newest(self) -> tuple[int, TurnRequest] | None:
        """Return how many requests there were, and the newest; None before the first. Raises Unavailable."""
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
