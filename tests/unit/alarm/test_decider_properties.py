"""What holds for every command on every alarm."""

from datetime import timedelta
from functools import reduce
from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.alarm.alarm import Alarm, State, state_of
from core.alarm.commands import Command
from core.alarm.condition import Raise
from core.alarm.decider import allowed_commands, decide
from core.alarm.events import Event, milliseconds
from core.alarm.evolution import evolve, place
from core.alarm.facts import Raised, Updated
from core.alarm.notes import Comment
from core.alarm.responses import Acknowledge
from core.errors import Refused
from tests.kit.given import PUMP, raising, second
from tests.unit.alarm.worlds import after, any_command, decided, histories, raises

ABSENT = Alarm.absent(PUMP.alarm_id)


@given(histories(), any_command)
def test_repeating_a_command_gives_nothing_or_a_refusal(happened: list[Event], command: Command) -> None:
    event = decided(after(happened), command)
    # A comment may be made twice; whether it was meant twice is for its Idempotency-Key to say.
    if event is not None and not isinstance(command, Comment):
        assert decided(event.alarm, command) is None


@given(histories(), raises, st.integers(0, 10**7))
def test_repeating_a_raise_gives_nothing_however_much_later(
    happened: list[Event], command: Raise, later: int
) -> None:
    event = decided(after(happened), command)
    if event is not None:
        context = replace(command.context, event_id="later", now=second(later), occurred_at=None)
        assert decide(event.alarm, replace(command, context=context)) is None


@given(histories(), any_command)
def test_what_decide_returns_evolves_to_its_own_snapshot(happened: list[Event], command: Command) -> None:
    before = after(happened)
    event = decided(before, command)
    if event is not None:
        assert evolve(before, event) == event.alarm
        assert (event.stream, event.revision) == (before.id, before.revision + 1)
        assert event.event_id == command.context.event_id
        assert event.position == event.alarm.position == 0
        assert event.at == milliseconds(command.context.now)
        assert event.at.microsecond % 1000 == event.occurred_at.microsecond % 1000 == 0


@given(histories(), any_command)
def test_the_same_command_on_the_same_alarm_is_decided_the_same_way(
    happened: list[Event], command: Command
) -> None:
    assert decided(after(happened), command) == decided(after(happened), command)


@given(histories(), any_command, st.integers(1, 2**40), st.integers(-(10**7), 10**7))
def test_placing_an_event_is_evolving_it_as_it_was_placed(
    happened: list[Event], command: Command, position: int, milliseconds_later: int
) -> None:
    before = after(happened)
    event = decided(before, command)
    if event is None:
        return
    not_before = event.at + timedelta(milliseconds=milliseconds_later)
    placed = place(before, event, position, not_before)
    assert placed.alarm == evolve(before, placed)
    assert placed.position == placed.alarm.position == position
    assert placed.at == placed.alarm.updated_at == max(event.at, not_before)
    changed = {"position", "alarm"} | ({"at"} if milliseconds_later > 0 else set())
    restored = {name: getattr(event, name) for name in changed}
    assert replace(placed, **restored) == event
    assert place(before, event, position, None) == place(before, event, position, event.at)


@given(histories(), st.data())
def test_folding_in_pieces_is_folding_at_once(happened: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(happened)))
    whole = reduce(evolve, happened, ABSENT)
    assert reduce(evolve, happened[cut:], reduce(evolve, happened[:cut], ABSENT)) == whole
    assert whole == after(happened)


@given(histories())
def test_an_alarm_agrees_with_itself_at_every_moment(happened: list[Event]) -> None:
    before = ABSENT
    for number, event in enumerate(happened, 1):
        alarm = event.alarm
        assert alarm.revision == event.revision == number
        assert (alarm.position, alarm.updated_at) == (event.position, event.at)
        assert alarm.state == state_of(alarm)
        assert alarm.state in get_args(State)
        assert (alarm.id, alarm.tenant, alarm.source) == (PUMP.alarm_id, "default", "line/1")
        assert alarm.occurrence == before.occurrence + isinstance(event.fact, Raised)
        assert 1 <= alarm.announced_revision <= alarm.revision
        # Held by its origins, or latched: otherwise there is nothing that could clear it.
        assert alarm.active or not alarm.origins
        assert not alarm.active or alarm.origins or alarm.latched
        assert not alarm.origins or alarm.severity in {origin.severity for origin in alarm.origins.values()}
        assert alarm.acked or alarm.acked_by is None
        assert len(alarm.origins) <= 16
        before = alarm


@given(histories())
def test_an_acknowledgement_ends_only_by_an_announcement(happened: list[Event]) -> None:
    before = ABSENT
    for event in happened:
        if before.revision and before.acked and not event.alarm.acked:
            assert isinstance(event.fact, Raised) or (
                isinstance(event.fact, Updated) and event.fact.reannounced
            )
            assert event.alarm.announced_revision == event.revision
        before = event.alarm


@given(histories(), st.integers(-1, 20))
def test_who_saw_the_last_announcement_can_acknowledge(happened: list[Event], revision: int) -> None:
    alarm = after(happened)
    context = raising().context
    try:
        decide(alarm, Acknowledge(context=context, alarm_id=alarm.id, revision=revision))
        accepted = True
    except Refused:
        accepted = False
    assert accepted == (not alarm.acked and alarm.announced_revision <= revision <= alarm.revision)


@given(histories(), any_command)
@example([], raising())
def test_a_refusal_shows_the_alarm_to_its_own_tenant_only(happened: list[Event], command: Command) -> None:
    alarm = after(happened)
    event, refusal = None, None
    try:
        event = decide(alarm, command)
    except Refused as refused:
        refusal = refused
    if command.context.tenant != "default":
        assert refusal is not None
    if refusal is not None and (command.context.tenant != "default" or not happened):
        assert refusal.alarm is None
        assert refusal.code in ("unknown_alarm", "invalid")
    assert event is None or event.tenant == "default"
    if event is not None:
        assert event.type != "alarm.cleared" or "clear" in allowed_commands(alarm)
        assert event.type != "alarm.acknowledged" or "acknowledge" in allowed_commands(alarm)
