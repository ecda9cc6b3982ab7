"""The handler: what is decided on remembered state, and what on a fresh read."""

import asyncio

import pytest
from msgspec.structs import replace

from adapters.memory.log import Events
from core.alarm.events import SCHEMA_VERSION
from core.errors import Unavailable, UnknownEvent
from core.log import snapshots
from core.log.handler import DECISIONS, Outcome
from tests.integration.log.handling import Server
from tests.kit.given import PUMP, acknowledging, clearing, raising, refused


async def test_a_command_is_answered_with_what_was_recorded(here: Server, events: Events) -> None:
    outcome = await here.handle(raising())
    assert outcome.event == events.all[0]
    assert outcome.alarm == events.all[0].alarm
    assert (outcome.alarm.position, outcome.alarm.state) == (1, "unacked")


async def test_a_command_that_changes_nothing_is_answered_with_the_alarm_as_it_is(here: Server) -> None:
    first = await here.handle(raising())
    assert await here.handle(raising()) == Outcome(None, first.alarm)


async def test_a_refusal_records_nothing(here: Server, events: Events) -> None:
    with refused("unknown_alarm"):
        await here.handle(clearing())
    await here.handle(raising())
    with refused("revision_ahead") as refusal:
        await here.handle(acknowledging(2))
    assert refusal[0].alarm == events.all[0].alarm
    assert len(events.all) == 1


async def test_another_tenants_alarm_is_unknown(here: Server) -> None:
    await here.handle(raising())
    for command in (clearing(tenant="other"), acknowledging(1, tenant="other")):
        with refused("unknown_alarm") as refusal:
            await here.handle(command)
        assert refusal[0].alarm is None


class TestAbsence:
    async def test_a_new_alarm_is_raised_without_a_read(self, here: Server) -> None:
        here.recollection.streams.complete()
        outcome = await here.handle(raising())
        assert (outcome.alarm.revision, here.log.reads) == (1, 0)

    async def test_an_alarm_of_which_this_process_was_not_told_is_read_after_all(
        self, here: Server, there: Server, events: Events
    ) -> None:
        here.recollection.streams.complete()
        await there.handle(raising())
        await there.handle(clearing())
        outcome = await here.handle(raising())
        assert [event.revision for event in events.all] == [1, 2, 3]
        assert outcome.event == events.all[-1]

    async def test_a_refusal_of_an_absent_alarm_rests_on_a_read(self, here: Server) -> None:
        here.recollection.streams.complete()
        with refused("unknown_alarm"):
            await here.handle(clearing())
        assert here.log.confirmations == 1


class TestRememberedState:
    async def test_a_write_is_decided_on_remembered_state_without_a_read(self, here: Server) -> None:
        await here.handle(raising())
        here.log.reads = 0
        await here.handle(acknowledging(1))
        await here.handle(clearing())
        assert here.log.reads == 0

    async def test_a_command_that_would_change_nothing_is_decided_again_on_a_fresh_read(
        self, here: Server, there: Server
    ) -> None:
        """A clear there, a raise here right after it: without the read, the activation would be gone."""
        await here.handle(raising())
        await there.handle(clearing())
        outcome = await here.handle(raising())
        assert outcome.event is not None
        assert (outcome.event.type, outcome.alarm.occurrence) == ("alarm.raised", 2)

    async def test_a_refusal_is_decided_again_on_a_fresh_read(self, here: Server, there: Server) -> None:
        await here.handle(raising())
        await here.handle(acknowledging(1))
        await there.handle(clearing())
        await there.handle(raising())
        outcome = await here.handle(acknowledging(4))
        assert outcome.alarm.state == "acked"

    async def test_a_refusal_shows_the_alarm_as_it_is_now(self, here: Server, there: Server) -> None:
        await here.handle(raising("minor"))
        changed = await there.handle(raising("critical"))
        with refused("revision_outdated") as refusal:
            await here.handle(acknowledging(1))
        assert refusal[0].alarm == changed.alarm

    async def test_a_conflict_is_decided_again(self, here: Server, there: Server) -> None:
        await here.handle(raising("minor", text="cold"))
        await there.handle(raising("minor", text="warm"))
        outcome = await here.handle(raising("major", text="hot"))
        assert outcome.event is not None
        assert (outcome.event.revision, outcome.alarm.text) == (3, "hot")
        assert outcome.event.fact.previous.severity == "minor"  # type: ignore[union-attr]

    async def test_a_conflict_may_turn_a_command_into_nothing(self, here: Server, there: Server) -> None:
        await here.handle(raising(text="cold"))
        changed = await there.handle(raising(text="hot"))
        assert await here.handle(raising(text="hot")) == Outcome(None, changed.alarm)

    async def test_the_event_id_stays_through_every_new_decision(
        self, here: Server, there: Server, events: Events
    ) -> None:
        await here.handle(raising())
        await there.handle(raising(text="warm"))
        context = replace(clearing().context, event_id="mine")
        outcome = await here.handler.handle(replace(clearing(), context=context))
        assert here.log.appends == 3
        assert outcome.event == events.ids["mine"]
        assert outcome.event.revision == 3

    async def test_remembered_state_is_not_doubted_on_a_primary_that_lags(self, here: Server) -> None:
        raised = await here.handle(raising())
        here.log.lagging = True
        assert await here.handle(raising()) == Outcome(None, raised.alarm)
        with refused("revision_ahead"):
            await here.handle(acknowledging(9))


class TestAReplacedPrimary:
    """One that another has replaced unnoticed: its majority reads are old."""

    async def test_nothing_changed_rests_on_a_confirmed_read(self, here: Server, there: Server) -> None:
        await there.handle(raising())
        await there.handle(clearing())
        here.log.replaced = True
        outcome = await here.handle(raising())
        assert outcome.event is not None
        assert outcome.alarm.occurrence == 2

    async def test_a_refusal_rests_on_a_confirmed_read(self, here: Server, there: Server) -> None:
        await there.handle(raising())
        await there.handle(clearing())
        await there.handle(raising())
        here.log.replaced = True
        assert (await here.handle(acknowledging(3))).alarm.state == "acked"

    async def test_what_writes_confirms_nothing(self, here: Server, there: Server) -> None:
        await there.handle(raising())
        await here.handle(acknowledging(1))
        await there.handle(clearing())
        # A conflict with what is remembered.
        await here.handle(raising("critical"))
        assert here.log.confirmations == 0

    async def test_an_alarm_as_it_stands_is_confirmed(self, here: Server, there: Server) -> None:
        await there.handle(raising())
        cleared = await there.handle(clearing())
        here.log.replaced = True
        assert await here.handler.alarm(PUMP.alarm_id) == cleared.alarm


class TestAnotherVersion:
    async def test_a_newer_events_snapshot_is_not_decided_on(self, here: Server, events: Events) -> None:
        await here.handle(raising())
        here.recollection.forget()
        for change in ({"v": SCHEMA_VERSION + 1}, {"type": "alarm.dreamt"}):
            events.streams[PUMP.alarm_id][-1] = replace(events.all[-1], **change)
            with pytest.raises(UnknownEvent):
                await here.handle(clearing())
        assert len(events.all) == 1

    async def test_a_newer_events_snapshot_is_not_guessed_where_an_older_state_is_remembered(
        self, here: Server, there: Server, events: Events
    ) -> None:
        await here.handle(raising())
        await there.handle(raising(text="newer"))
        events.streams[PUMP.alarm_id][-1] = replace(events.all[-1], v=SCHEMA_VERSION + 1)
        with pytest.raises(UnknownEvent):
            await here.handle(clearing())

    async def test_an_older_events_snapshot_is_folded_anew(
        self, here: Server, events: Events, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshots, "FOLDED_AT_ONCE", 2)
        for text in ("a", "b", "c"):
            expected = (await here.handle(raising(text=text))).alarm
        here.recollection.forget()
        untrusted = replace(expected, text="as an older version saw it", severity="minor")
        events.streams[PUMP.alarm_id][-1] = replace(events.all[-1], v=SCHEMA_VERSION - 1, alarm=untrusted)
        assert await here.handle(raising(text="c")) == Outcome(None, expected)


async def test_who_loses_every_race_is_told_that_it_did_not_happen(here: Server, events: Events) -> None:
    await here.handle(raising())
    races = 0

    def race() -> None:
        nonlocal races
        races += 1
        before = events.all[-1]
        events.add(replace(before, event_id=f"other {races}", revision=races + 1))

    here.log.before_append = race
    with pytest.raises(Unavailable):
        await here.handle(clearing())
    assert DECISIONS <= races <= DECISIONS + 1
    assert all(event.event_id.startswith("other") for event in events.all[1:])


async def test_commands_on_one_alarm_take_turns(here: Server, events: Events) -> None:
    await asyncio.gather(*(here.handle(raising(text=f"{number}")) for number in range(20)))
    assert [event.revision for event in events.all] == list(range(1, 21))
    assert [event.alarm.text for event in events.all] == [f"{number}" for number in range(20)]
    assert here.log.appends == 20


async def test_processes_that_race_lose_nothing(here: Server, there: Server, events: Events) -> None:
    await asyncio.gather(
        *(server.handle(raising(origin=f"{number}")) for number in range(8) for server in (here, there))
    )
    assert len(events.all) == 8
    assert set(events.all[-1].alarm.origins) == {f"{number}" for number in range(8)}
