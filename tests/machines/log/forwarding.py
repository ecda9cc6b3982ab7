"""Processes that forward to each other over connections that break, beside everything that goes wrong."""

from collections import deque
from dataclasses import dataclass, field

from core.log.forwarding import Answer, Forward, Forwarder, answer_to
from core.log.submission import Submission
from tests.kit.replicas import Process, Violation
from tests.machines.log.appending import LAST_CALLS, MOVES, Choose, Sent, World

FORWARDING_MOVES = {
    **MOVES,
    "connect": 3,
    "reach": 10,
    "answer": 10,
    "cut": 2,
    "lie": 1,
}

_WEIGHTED = [move for move, weight in FORWARDING_MOVES.items() for _ in range(weight)]


@dataclass(eq=False)
class Link:
    """A connection from one process to the one that it believes appends, with what is on the way."""

    peer: Process
    holder: Process
    there: deque[Forward] = field(default_factory=deque)
    back: deque[Answer] = field(default_factory=deque)
    up: bool = True

    def __post_init__(self) -> None:
        self.forwarder = Forwarder(self.there.append, lambda: 0.0)

    def arrive(self) -> None:
        """Let the next forwarded event reach the holder."""
        forward = self.there.popleft()
        entry = Submission(
            forward.before,
            forward.event,
            lambda result: self.back.append(answer_to(forward.number, result)) if self.up else None,
        )
        self.holder.appender.submit(entry)

    def return_(self) -> None:
        """Let the next answer reach the peer."""
        self.forwarder.take(self.back.popleft())


class ForwardingWorld(World):
    """Any process may forward to any other one, which may forward itself, or be gone without knowing it."""

    weighted = _WEIGHTED

    def __init__(self, processes: int = 3, violation: Violation = "none") -> None:
        super().__init__(processes, violation)
        self.links: dict[Process, Link] = {}

    def connect(self, process: Process, choose: Choose) -> None:
        """It has found one that appends, perhaps one that no longer should."""
        others = [each for each in self.processes if each is not process]
        if process not in self.links and others:
            self.links[process] = Link(process, choose(others))

    def reach(self, process: Process, choose: Choose) -> None:
        link = self.links.get(process)
        for _ in range(choose(range(1, 4))):
            if link is not None and link.there:
                link.arrive()

    def answer(self, process: Process, _choose: Choose) -> None:
        link = self.links.get(process)
        while link is not None and link.back:
            link.return_()

    def cut(self, process: Process, _choose: Choose) -> None:
        """The connection is gone, with all that was on the way."""
        link = self.links.pop(process, None)
        if link is not None:
            self._break(link)

    def lie(self, process: Process, choose: Choose) -> None:
        """The holder answers what nobody asked: the connection ends as if it were cut."""
        self.cut(process, choose)

    def crash(self, process: Process, choose: Choose) -> None:
        self.links.pop(process, None)
        for peer, link in list(self.links.items()):
            if link.holder is process:
                del self.links[peer]
                self._break(link)
        super().crash(process, choose)

    def come_to_rest(self) -> None:
        for _ in range(LAST_CALLS):
            for link in self.links.values():
                while link.there:
                    link.arrive()
                while link.back:
                    link.return_()
            self.go_on_all()
        super().come_to_rest()

    def enter(self, submission: Sent, entry: Submission) -> None:
        """Forward where there is a connection, else append."""
        link = self.links.get(submission.process)
        if link is None:
            super().enter(submission, entry)
        else:
            self.happened.add("forwarded")
            link.forwarder.submit(entry)

    def _break(self, link: Link) -> None:
        link.up = False
        left = link.forwarder.lost()
        if left:
            self.happened.add("cut with an answer outstanding")
        for entry in left:
            link.peer.appender.submit(entry)
