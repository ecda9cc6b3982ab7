"""Processes that append to one replica set, callers that rely on them, and everything that can go wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from core.alarm.alarm import Alarm, Identity
from core.alarm.condition import Raise
from core.alarm.context import Context
from core.alarm.decider import decide
from core.alarm.events import Actor, Event
from core.errors import (
    DuplicateCommand,
    InvalidInput,
    OutcomeUnknown,
    RevisionConflict,
    TocsinError,
    Unavailable,
)
from core.log.submission import Submission
from tests.kit.replicas import (
    LARGE,
    REFUSED,
    UNSTORABLE,
    Insert,
    Process,
    Read,
    Replicas,
    Violation,
    stamp_of,
)

Choose = Callable[[Sequence[Any]], Any]

BATCH = 3
STAMPS = 4
LAST_CALLS = 500
"""How many calls a process may need, once nothing fails any more, until its callers have their answers."""

MOVES = {
    "go_on": 14,
    "command": 6,
    "execute": 4,
    "replicate": 1,
    "catch_up": 1,
    "hear": 2,
    "decide_again": 2,
    "send_again": 1,
    "withdraw": 3,
    "forget": 1,
    "lose_the_answer": 4,
    "hold_back": 5,
    "arrive_late": 4,
    "fail_over": 3,
    "crash": 1,
}
"""What may happen next, and how often it does."""

_WEIGHTED = [move for move, weight in MOVES.items() for _ in range(weight)]

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
IDENTITIES = [Identity("default", f"line/{number}", "pressure") for number in range(4)]
KINDS = ["plain"] * 6 + [LARGE, UNSTORABLE, REFUSED]
KEYS = [None, None, None, "key-1", "key-2", "key-3"]


@dataclass(eq=False)
class Sent:
    """An event given to a process's appender, and what its caller was told."""

    process: Process
    before: Alarm
    event: Event
    told: Event | TocsinError | None = None
    withdrawn: bool = False
    left_in_doubt: bool = False
    entry: Submission | None = None

    @property
    def open(self) -> bool:
        return self.told is None and not self.withdrawn and not self.left_in_doubt


class World:
    """Takes one move after the other. `check` holds after each of them, `come_to_rest` ends it."""

    weighted = _WEIGHTED

    def __init__(self, processes: int = 2, violation: Violation = "none") -> None:
        self.violation: Violation = violation
        self.replicas = Replicas()
        self.processes = [self._process() for _ in range(processes)]
        self.submissions: list[Sent] = []
        self.happened: set[str] = set()
        self._commands = 0
        self._limits = [
            patch("core.log.appender.BATCH_EVENTS", BATCH),
            patch("core.log.appender.STAMPS", STAMPS),
        ]
        for limit in self._limits:
            limit.start()

    def move(self, choose: Choose) -> None:
        """Let one thing happen."""
        getattr(self, choose(self.weighted))(choose(self.processes), choose)

    def close(self) -> None:
        """End the processes."""
        for process in self.processes:
            process.kill()
        for limit in self._limits:
            limit.stop()

    # What callers do.

    def command(self, process: Process, choose: Choose) -> None:
        """A command, decided on what the majority had a few events ago."""
        self._commands += 1
        event_id = f"event-{self._commands}"
        text = f"{choose(KINDS)} {event_id}"
        before = self._before(choose(IDENTITIES).alarm_id, choose(range(3)))
        self._decide(process, event_id, before, text, choose(KEYS))

    def decide_again(self, process: Process, choose: Choose) -> None:
        """What the handler does on a conflict: the same event id, on the state as it is now."""
        possible = {each.event.event_id for each in self._unsure()}
        newest = {each.event.event_id: each for each in self.submissions if each.process is process}
        lost = [each.event for each in newest.values() if isinstance(each.told, RevisionConflict)]
        lost = [event for event in lost if event.event_id not in possible]
        if lost:
            event = choose(lost)
            before = self._before(event.stream, 0)
            self._decide(process, event.event_id, before, event.alarm.text, event.command_id)

    def send_again(self, process: Process, choose: Choose) -> None:
        """The very same event a second time, by someone who does not know whether it is in the log."""
        if self._unsure():
            known = choose(self._unsure())
            self._submit(Sent(process, known.before, known.event))

    def withdraw(self, process: Process, choose: Choose) -> None:
        waiting = [each for each in self.submissions if each.open and each.process is process]
        if waiting:
            submission = choose(waiting)
            queued = not submission.entry.under_way
            submission.withdrawn = process.appender.withdraw(submission.entry)
            submission.left_in_doubt = queued and not submission.withdrawn

    # What goes well.

    def go_on(self, process: Process, choose: Choose) -> None:
        for _ in range(choose(range(1, 4))):
            self._step(process)

    def execute(self, process: Process, _choose: Choose) -> None:
        """The insert reaches the primary; the majority has yet to confirm it."""
        if isinstance(process.call, Insert):
            process.execute()

    def replicate(self, _process: Process, choose: Choose) -> None:
        self.replicas.committed = min(len(self.replicas.log), self.replicas.committed + choose(range(1, 5)))

    def catch_up(self, _process: Process, _choose: Choose) -> None:
        self.replicas.view = self.replicas.committed

    def hear(self, process: Process, choose: Choose) -> None:
        """The feed shows the process an event, perhaps not the newest."""
        seen = self.replicas.log[: self.replicas.view]
        if seen:
            process.appender.learn(stamp_of(choose(seen[-3:])))

    # What goes wrong.

    def forget(self, process: Process, _choose: Choose) -> None:
        process.appender.forget()

    def lose_the_answer(self, process: Process, choose: Choose) -> None:
        if isinstance(process.call, Insert):
            process.lose(choose(range(BATCH + 1)))
            self.happened.add("lost an answer")

    def hold_back(self, process: Process, _choose: Choose) -> None:
        call = process.call
        if isinstance(call, Read) or (isinstance(call, Insert) and call.executed is None):
            process.hold_back()

    def arrive_late(self, _process: Process, choose: Choose) -> None:
        if self.replicas.flights:
            flight = choose(self.replicas.flights)
            self.replicas.flights.remove(flight)
            before = len(self.replicas.log)
            self.replicas.execute(flight[: choose(range(1, BATCH + 1))])
            if len(self.replicas.log) > before:
                self.happened.add("landed late")

    def fail_over(self, _process: Process, choose: Choose) -> None:
        kept = choose(range(4))
        if len(self.replicas.log) > self.replicas.committed + kept:
            self.happened.add("rolled back")
        self.replicas.fail_over(kept, choose(range(5)))

    def crash(self, process: Process, _choose: Choose) -> None:
        process.kill()
        self.processes[self.processes.index(process)] = self._process()

    # What holds.

    def check(self) -> None:
        """Positions and revisions have no gap, and every caller was told the truth."""
        log = self.replicas.log[: self.replicas.committed]
        check_log(log)
        for submission in self.submissions:
            if isinstance(submission.told, Event):
                assert submission.told.event_id == submission.event.event_id
                assert log[submission.told.position - 1] == submission.told
        for process in self.processes:
            assert [log[event.position - 1] for event in process.landed] == process.landed
        # No command that was withdrawn, refused or told to be decided again.
        assert {event.event_id for event in log} <= {each.event.event_id for each in self._unsure()}

    def come_to_rest(self) -> None:
        """Nothing fails any more: what waits is answered, and what arrives late changes nothing."""
        for _ in range(LAST_CALLS):
            self.go_on_all()
        assert [each for each in self.submissions if each.open and each.process in self.processes] == []
        for flight in self.replicas.flights:
            self.replicas.execute(flight)
        self.replicas.commit(len(self.replicas.log))
        self.check()

    def go_on_all(self) -> None:
        """Let the majority confirm all there is, and each process go on."""
        self.replicas.commit(len(self.replicas.log))
        for process in self.processes:
            self._step(process)

    # How.

    def _unsure(self) -> list[Sent]:
        """What may be in the log."""
        return [
            each
            for each in self.submissions
            if each.open or each.left_in_doubt or isinstance(each.told, Event)
        ]

    def _process(self) -> Process:
        return Process(self.replicas, self.violation)

    def _step(self, process: Process) -> None:
        if process.call is not None:
            process.let_through()
        elif process.appender.waiting:
            process.start()

    def _before(self, stream: str, behind: int) -> Alarm:
        """The alarm as the majority had it so many events ago."""
        seen = self.replicas.log[: max(0, self.replicas.view - behind)]
        newest = [event.alarm for event in seen if event.stream == stream]
        return newest[-1] if newest else Alarm.absent(stream)

    def _decide(self, process: Process, event_id: str, before: Alarm, text: str, key: str | None) -> None:
        (identity,) = [each for each in IDENTITIES if each.alarm_id == before.id]
        context = Context(
            event_id=event_id,
            tenant=identity.tenant,
            actor=Actor("line", "source"),
            # Every process's clock is wrong in its own way.
            now=BEGINNING + timedelta(hours=self.processes.index(process), seconds=self._commands),
            command_id=key,
        )
        event = decide(before, Raise(context=context, identity=identity, severity="major", text=text))
        assert event is not None
        self._submit(Sent(process, before, event))

    def _submit(self, submission: Sent) -> None:
        def told(result: Event | TocsinError) -> None:
            self._check_told(submission, result)
            submission.told = result

        submission.entry = Submission(submission.before, submission.event, told)
        self.submissions.append(submission)
        self.enter(submission, submission.entry)

    def enter(self, submission: Sent, entry: Submission) -> None:
        """Give the event to the process's appender."""
        submission.process.appender.submit(entry)

    def _check_told(self, submission: Sent, told: Event | TocsinError) -> None:
        assert submission.open, "told twice"
        log = self.replicas.log[: self.replicas.committed]
        event = submission.event
        match told:
            case Event():
                assert told in log
            case RevisionConflict():
                (held,) = [e for e in log if (e.stream, e.revision) == (event.stream, event.revision)]
                assert held.event_id != event.event_id
            case DuplicateCommand():
                assert told.event in log
                assert told.event.command_id == event.command_id
            case InvalidInput():
                assert event.alarm.text.startswith(UNSTORABLE)
            case Unavailable():
                assert event.alarm.text.startswith(REFUSED)
            case OutcomeUnknown():
                # Another process may have sent it before this one's store refused it.
                assert submission.entry is not None
                assert submission.entry.in_doubt
                assert event.alarm.text.startswith(REFUSED)
            case _:
                raise AssertionError(told)


def check_log(log: Sequence[Event]) -> None:
    """Check positions, revisions, ids and times of a whole log, in the order of its oplog."""
    assert [event.position for event in log] == list(range(1, len(log) + 1))
    assert len({event.event_id for event in log}) == len(log)
    revisions: dict[str, int] = {}
    at = BEGINNING
    for event in log:
        assert event.revision == revisions.get(event.stream, 0) + 1
        assert event.alarm.position == event.position
        assert event.at >= at
        revisions[event.stream], at = event.revision, event.at
