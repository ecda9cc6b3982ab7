"""What core.log.ports promises: one suite for every log.

A subclass gives `log_factory`: each call returns one more log over the same, at first empty, store, as
another process would have it.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from core.alarm.alarm import Alarm, Identity
from core.alarm.commands import Command
from core.alarm.condition import Clear, Raise
from core.alarm.events import Event, Recorded
from core.alarm.responses import Acknowledge
from core.errors import DuplicateCommand, RevisionConflict
from core.log.ports import START
from tests.kit.chains import BEGINNING, absent, chain, context, decided, everything, raised, stamp_of
from tests.kit.logs import EventLog

LogFactory = Callable[[], Awaitable[EventLog]]

ODD_DETAILS: dict[str, Any] = {
    "b.c": {"$d": [1, -(2**63), 2**63 - 1, 1.5, True, None, "é\0"], "": {}},
    "list": [[], [{"x": []}]],
}


class LogContract:
    @pytest_asyncio.fixture
    async def log(self, log_factory: LogFactory) -> EventLog:
        return await log_factory()

    async def test_an_empty_log_has_nothing(self, log: EventLog) -> None:
        assert (await log.read(0, 10)).events == []
        assert await log.tail() == START
        assert await log.stamp(0) is None
        assert await log.stamp(1) is None
        assert await log.newest("a stream") is None
        assert await log.confirmed("a stream") is None
        assert list(await log.stream("a stream", 0, 10)) == []
        assert await log.by_command("default", "key") is None

    async def test_the_newest_events_of_many_streams_are_read_at_once(self, log: EventLog) -> None:
        lasts = [(await chain(log, length, f"line/{length}"))[-1] for length in range(1, 6)]
        asked = [last.stream for last in lasts] * 2
        for read in (log.newest, log.confirmed):
            found = await asyncio.gather(read("a stream"), *(read(stream) for stream in asked))
            assert found == [None, *lasts, *lasts]

    async def test_positions_and_revisions_start_at_one_and_have_no_gap(self, log: EventLog) -> None:
        first = await chain(log, 3, "line/1")
        second = await chain(log, 2, "line/2")
        assert [event.position for event in first + second] == [1, 2, 3, 4, 5]
        assert [event.revision for event in first + second] == [1, 2, 3, 1, 2]
        assert await everything(log) == first + second

    async def test_an_event_is_read_as_it_was_appended(self, log: EventLog) -> None:
        before = absent()
        by = {
            "command_id": "key",
            "command_hash": "hash",
            "trace": "00-trace",
            "occurred_at": BEGINNING - timedelta(days=1, milliseconds=1),
        }
        event = raised(before, by=by, labels={"a.b": "1", "$c": ""}, details=ODD_DETAILS, origin="o.$")
        appended = await log.append(before, event)
        assert appended == replace(event, position=1, alarm=replace(event.alarm, position=1))
        (read,) = (await log.read(0, 1)).events
        assert read == appended
        assert read.fact == event.fact
        assert read.alarm.details == ODD_DETAILS
        assert [type(each) for each in read.alarm.details["b.c"]["$d"]] == [
            int,
            int,
            int,
            float,
            bool,
            type(None),
            str,
        ]
        assert (read.at.utcoffset(), read.alarm.origins["o.$"].since.utcoffset()) == (
            timedelta(0),
            timedelta(0),
        )

    async def test_every_kind_of_event_can_be_appended(self, log: EventLog) -> None:
        alarm = absent()
        about: dict[str, Any] = {"context": context(), "alarm_id": alarm.id}
        commands: list[Command | None] = [None, None, Acknowledge(**about, revision=2), Clear(**about)]
        for command in commands:
            event = raised(alarm) if command is None else decided(alarm, replace(command, context=context()))
            alarm = (await log.append(alarm, event)).alarm
        assert [event.type for event in await everything(log)] == [
            "alarm.raised",
            "alarm.updated",
            "alarm.acknowledged",
            "alarm.cleared",
        ]

    async def test_a_revision_that_is_taken_is_a_conflict(
        self, log: EventLog, log_factory: LogFactory
    ) -> None:
        (first,) = await chain(log, 1)
        for writer in (log, await log_factory()):
            with pytest.raises(RevisionConflict):
                await writer.append(absent(), raised(absent()))
        again = raised(first.alarm)
        assert (await log.append(first.alarm, again)).position == 2
        assert len(await everything(log)) == 2

    async def test_after_a_conflict_the_same_event_id_can_be_appended(self, log: EventLog) -> None:
        event = raised(absent())
        (first,) = await chain(log, 1)
        with pytest.raises(RevisionConflict):
            await log.append(absent(), event)
        again = raised(first.alarm, by={"event_id": event.event_id})
        assert (await log.append(first.alarm, again)).event_id == event.event_id

    async def test_a_command_is_recorded_once(self, log: EventLog, log_factory: LogFactory) -> None:
        first = await log.append(absent(), raised(absent(), by={"command_id": "key"}))
        for writer in (log, await log_factory()):
            for source, before in (("line/1", first.alarm), ("line/2", absent("line/2"))):
                with pytest.raises(DuplicateCommand) as duplicate:
                    await writer.append(before, raised(before, source, by={"command_id": "key"}))
                assert duplicate.value.event == first
        assert await everything(log) == [first]

    async def test_a_key_means_something_to_its_tenant_only(self, log: EventLog) -> None:
        mine = await log.append(absent(), raised(absent(), by={"command_id": "key"}))
        identity = Identity("other", "line/1", "pressure")
        before = Alarm.absent(identity.alarm_id)
        by = context(tenant="other", command_id="key")
        others = await log.append(
            before, decided(before, Raise(context=by, identity=identity, severity="minor"))
        )
        assert await log.by_command("default", "key") == mine
        assert await log.by_command("other", "key") == others
        assert await log.by_command("nobody", "key") is None
        assert await log.by_command("default", "another key") is None

    async def test_events_without_a_key_do_not_collide(self, log: EventLog) -> None:
        await chain(log, 2)
        await chain(log, 1, "line/2")
        assert len(await everything(log)) == 3

    async def test_an_event_that_is_there_is_returned_as_it_stands(
        self, log: EventLog, log_factory: LogFactory
    ) -> None:
        event = raised(absent(), by={"command_id": "key"})
        first = await log.append(absent(), event)
        await log.append(first.alarm, raised(first.alarm))
        for writer in (log, await log_factory()):
            assert await writer.append(absent(), event) == first
        assert len(await everything(log)) == 2

    async def test_the_time_never_runs_backwards(self, log: EventLog, log_factory: LogFactory) -> None:
        late = await log.append(absent(), raised(absent(), by={"now": BEGINNING + timedelta(hours=1)}))
        other = await log_factory()
        for writer in (log, other):
            source = f"line/{id(writer)}"
            early = await writer.append(absent(source), raised(absent(source), source))
            assert early.at == early.alarm.updated_at == early.alarm.raised_at == late.at
            assert early.occurred_at == BEGINNING
        later = raised(late.alarm, by={"now": BEGINNING + timedelta(hours=2)})
        assert (await other.append(late.alarm, later)).at == BEGINNING + timedelta(hours=2)
        await everything(log)

    async def test_reading_goes_on_where_it_stopped(self, log: EventLog) -> None:
        appended = await chain(log, 7)
        assert (await log.read(0, 3)).events == appended[:3]
        assert (await log.read(3, 3)).events == appended[3:6]
        assert (await log.read(6, 3)).events == appended[6:]
        assert (await log.read(7, 3)).events == []
        assert (await log.read(99, 3)).events == []
        assert await everything(log, page=1) == appended

    async def test_what_events_recorded_is_read_without_their_snapshots(self, log: EventLog) -> None:
        appended = await chain(log, 5)
        recorded = [*await log.recorded(0, 2), *await log.recorded(2, 10)]
        assert [fields_of(each) for each in recorded] == [fields_of(each) for each in appended]
        page = await log.recorded(0, 10)
        assert (len(page), page[-1].position, [each.position for each in page[1:3]]) == (5, 5, [2, 3])
        assert list(await log.recorded(5, 10)) == []

    async def test_the_newest_of_all_streams_comes_in_pages(self, log: EventLog) -> None:
        lasts = [(await chain(log, length, f"line/{length}"))[-1] for length in range(1, 6)]
        found = [snapshot async for snapshots in log.newest_of_all() for snapshot in snapshots]
        found.sort(key=lambda snapshot: snapshot.position)
        assert found == [last.snapshot for last in lasts]

    async def test_the_streams_come_once_each(self, log: EventLog) -> None:
        assert [page async for page in log.streams()] == []
        lasts = [(await chain(log, length, f"line/{length}"))[-1] for length in range(1, 6)]
        found = [stream async for page in log.streams() for stream in page]
        assert sorted(found) == sorted(last.stream for last in lasts)

    async def test_a_tenant_is_read_by_position(self, log: EventLog) -> None:
        mine = await chain(log, 2)
        before = Alarm.absent(Identity("other", "line/1", "pressure").alarm_id)
        raising = Raise(
            context=context(tenant="other"),
            identity=Identity("other", "line/1", "pressure"),
            severity="minor",
        )
        await log.append(before, decided(before, raising))
        mine += await chain(log, 2, "line/2")
        assert [event.position for event in mine] == [1, 2, 4, 5]
        assert list(await log.of_tenant("default", 0, 3)) == mine[:3]
        assert list(await log.of_tenant("default", 2, 10)) == mine[2:]
        assert list(await log.of_tenant("default", 5, 10)) == []
        assert [event.position for event in await log.of_tenant("other", 0, 10)] == [3]

    async def test_a_stream_is_read_by_revision(self, log: EventLog) -> None:
        first = await chain(log, 4, "line/1")
        await chain(log, 2, "line/2")
        last = await log.append(first[-1].alarm, raised(first[-1].alarm))
        stream = first[0].stream
        assert await log.newest(stream) == last
        assert list(await log.stream(stream, 0, 2)) == first[:2]
        assert list(await log.stream(stream, 2, 10)) == [*first[2:], last]
        assert list(await log.stream(stream, 5, 10)) == []

    async def test_stamps_tell_what_is_at_a_position(self, log: EventLog) -> None:
        appended = await chain(log, 3)
        assert [await log.stamp(position) for position in (1, 2, 3)] == [
            stamp_of(event) for event in appended
        ]
        assert await log.stamp(4) is None
        assert await log.tail() == stamp_of(appended[-1])

    async def test_the_log_has_one_identity(self, log: EventLog, log_factory: LogFactory) -> None:
        identity = await log.identity()
        assert identity
        await chain(log, 1)
        assert await log.identity() == await (await log_factory()).identity() == identity

    async def test_one_log_sees_what_another_has_appended(
        self, log: EventLog, log_factory: LogFactory
    ) -> None:
        other = await log_factory()
        for writer, reader in ((log, other), (other, log), (log, other)):
            tail = await reader.tail()
            source = uuid.uuid4().hex
            event = await writer.append(absent(source), raised(absent(source), source))
            assert event.position == tail.position + 1
            assert await reader.tail() == stamp_of(event)
            assert await reader.newest(event.stream) == event

    async def test_many_events_at_once_get_a_position_each(
        self, log: EventLog, log_factory: LogFactory
    ) -> None:
        writers = [log, await log_factory(), await log_factory()]
        sources = [f"line/{number}" for number in range(300)]
        appended = await asyncio.gather(
            *(
                writers[number % 3].append(absent(source), raised(absent(source), source))
                for number, source in enumerate(sources)
            )
        )
        assert await everything(log) == sorted(appended, key=lambda event: event.position)
        assert len(appended) == 300

    async def test_of_many_events_at_once_on_one_alarm_one_wins(
        self, log: EventLog, log_factory: LogFactory
    ) -> None:
        writers = [log, await log_factory()]
        results = await asyncio.gather(
            *(writers[number % 2].append(absent(), raised(absent())) for number in range(20)),
            return_exceptions=True,
        )
        won = [result for result in results if isinstance(result, Event)]
        assert await everything(log) == won
        assert len(won) == 1
        assert sum(isinstance(result, RevisionConflict) for result in results) == 19

    async def test_of_many_commands_at_once_with_one_key_one_wins(
        self, log: EventLog, log_factory: LogFactory
    ) -> None:
        writers = [log, await log_factory()]
        results = await asyncio.gather(
            *(
                writers[number % 2].append(
                    absent(source), raised(absent(source), source, by={"command_id": "key"})
                )
                for number, source in enumerate(f"line/{number}" for number in range(20))
            ),
            return_exceptions=True,
        )
        (won,) = await everything(log)
        assert won in results
        duplicates = [result for result in results if isinstance(result, DuplicateCommand)]
        assert len(duplicates) == 19
        assert all(duplicate.event == won for duplicate in duplicates)

    async def test_one_event_from_many_sides_is_recorded_once(
        self, log: EventLog, log_factory: LogFactory
    ) -> None:
        event = raised(absent())
        writers = [log, await log_factory()]
        results = await asyncio.gather(*(writers[number % 2].append(absent(), event) for number in range(10)))
        (recorded,) = await everything(log)
        assert results == [recorded] * 10


def fields_of(event: Recorded) -> dict[str, Any]:
    return {name: getattr(event, name) for name in Recorded.__struct_fields__}
