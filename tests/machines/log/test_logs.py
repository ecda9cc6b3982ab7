"""The log in memory and the log on MongoDB, two processes on each: step by step they answer the same."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from adapters.memory.log import Events, MemoryLog
from adapters.mongo.client import Database, connect
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.errors import DuplicateCommand, RevisionConflict
from tests.kit.chains import absent, check, raised
from tests.kit.logs import EventLog
from tests.kit.mongologs import WritableLog

Result = TypeVar("Result")

EXAMPLES = 40
STEPS = 25

processes = st.integers(0, 1)
sources = st.sampled_from(["line/1", "line/2", "line/3"])
keys = st.none() | st.sampled_from(["a", "b", "c"])


class Twins:
    """Both logs, on an event loop of their own."""

    def __init__(self, uri: str, database: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.database: Database = self.run(self._connect(uri, database))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(asyncio.wait_for(work, 30.0))

    def close(self) -> None:
        self.database.client.close()
        self.loop.close()

    @staticmethod
    async def _connect(uri: str, database: str) -> Database:
        return connect(uri, database)


class Logs(RuleBasedStateMachine):
    twins: Twins

    def __init__(self) -> None:
        super().__init__()
        events = Events()
        self.memory = [MemoryLog("a log", events) for _ in range(2)]
        self.mongo = [WritableLog(self.twins.database) for _ in range(2)]
        self.alarms: dict[str, Alarm] = {}
        self.appended: list[Event] = []
        self.running = [log.running() for log in self.mongo]
        self.twins.run(self.start())

    async def start(self) -> None:
        await self.twins.database["events"].delete_many({})
        for log, running in zip(self.mongo, self.running, strict=True):
            await log.create()
            await running.__aenter__()

    async def stop(self) -> None:
        for running in self.running:
            await running.__aexit__(None, None, None)

    @rule(process=processes, source=sources, key=keys)
    def append(self, process: int, source: str, key: str | None) -> None:
        before = self.alarms.get(source, absent(source))
        self._append(process, before, raised(before, source, by={"command_id": key}))

    @rule(process=processes, source=sources, key=keys)
    def append_what_was_decided_too_early(self, process: int, source: str, key: str | None) -> None:
        self._append(process, absent(source), raised(absent(source), source, by={"command_id": key}))

    @rule(process=processes, data=st.data())
    def append_again(self, process: int, data: st.DataObject) -> None:
        if self.appended:
            event = data.draw(st.sampled_from(self.appended))
            self._append(process, absent(event.alarm.source), event)

    @rule(process=processes, after=st.integers(0, STEPS), limit=st.integers(1, 5))
    def read(self, process: int, after: int, limit: int) -> None:
        assert self._same(process, lambda log: _events(log, after, limit)) is not None
        self._same(process, lambda log: log.tail())
        self._same(process, lambda log: log.stamp(after))

    @rule(process=processes, source=sources, revision=st.integers(0, 5), key=st.sampled_from("abc"))
    def look_up(self, process: int, source: str, revision: int, key: str) -> None:
        stream = absent(source).id
        self._same(process, lambda log: log.newest(stream))
        self._same(process, lambda log: log.by_command("default", key))
        self._same(process, lambda log: _stream(log, stream, revision))

    def teardown(self) -> None:
        try:
            check(self.twins.run(_events(self.memory[0], 0, 1_000)))
            self._same(1, lambda log: _events(log, 0, 1_000))
        finally:
            self.twins.run(self.stop())

    def _append(self, process: int, before: Alarm, event: Event) -> None:
        outcome = self._same(process, lambda log: _outcome(log, before, event))
        if isinstance(outcome, Event):
            self.appended.append(outcome)
            newest = self.twins.run(self.memory[0].newest(outcome.stream))
            assert newest is not None
            self.alarms[newest.alarm.source] = newest.alarm

    def _same(self, process: int, ask: Any) -> Any:
        expected = self.twins.run(ask(self.memory[process]))
        assert self.twins.run(ask(self.mongo[process])) == expected
        return expected


async def _outcome(log: EventLog, before: Alarm, event: Event) -> Event | tuple[str, Event | None]:
    try:
        return await log.append(before, event)
    except DuplicateCommand as duplicate:
        return "duplicate", duplicate.event
    except RevisionConflict:
        return "conflict", None


async def _events(log: EventLog, after: int, limit: int) -> list[Event]:
    return list((await log.read(after, limit)).events)


async def _stream(log: EventLog, stream: str, after: int) -> list[Event]:
    return list(await log.stream(stream, after, 10))


@pytest.fixture
def twins(mongodb_uri: str, database: str) -> Iterator[Twins]:
    both = Twins(mongodb_uri, database)
    yield both
    both.close()


def test_the_logs_in_memory_and_on_mongodb_agree_step_by_step(twins: Twins) -> None:
    chosen = settings(
        max_examples=min(EXAMPLES, settings().max_examples),
        stateful_step_count=STEPS,
        suppress_health_check=[HealthCheck.too_slow],
    )
    machine = type("LogsOnBoth", (Logs,), {"twins": twins})
    run_state_machine_as_test(machine, settings=chosen)
