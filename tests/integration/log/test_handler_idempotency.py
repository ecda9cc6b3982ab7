"""The handler: the same Idempotency-Key, the same answer."""

import asyncio
from contextlib import suppress

import pytest
from msgspec.structs import replace

from adapters.memory.log import Events
from core.alarm.alarm import Identity
from core.alarm.commands import Command
from core.errors import (
    DuplicateCommand,
    InvalidInput,
    OutcomeUnknown,
    Refused,
    RevisionConflict,
    Unavailable,
)
from core.log.handler import Outcome
from tests.integration.log.handling import Server
from tests.kit.given import PUMP, acknowledging, clearing, raising, refused


async def test_the_same_key_gets_the_same_answer(here: Server, there: Server, events: Events) -> None:
    first = await here.handle(raising(), "key")
    assert await here.handle(raising(), "key") == first
    assert await there.handle(raising(), "key") == first
    assert len(events.all) == 1


@pytest.mark.parametrize(
    ("history", "command"),
    [
        ([], raising()),
        ([raising()], clearing()),
        ([raising()], clearing(by="operator")),
        ([raising()], acknowledging(1)),
        ([raising()], raising("critical", text="hot")),
    ],
)
async def test_the_same_key_gets_the_same_answer_after_the_alarm_has_moved_on(
    here: Server, there: Server, events: Events, history: list[Command], command: Command
) -> None:
    for earlier in history:
        await here.handle(earlier)
    first = await here.handle(command, "key")
    for later in (clearing(), raising("minor"), raising("warning", text="other"), clearing()):
        await there.handle(later)
        count = len(events.all)
        for server in (here, there):
            assert await server.handle(command, "key") == first
        assert len(events.all) == count


@pytest.mark.parametrize(
    ("history", "command", "code"),
    [
        ([], clearing(), "unknown_alarm"),
        ([raising()], acknowledging(7), "revision_ahead"),
        ([raising(), acknowledging(1)], acknowledging(1), "already_acknowledged"),
        ([raising(), clearing()], clearing(by="operator"), "not_active"),
    ],
)
async def test_the_same_key_gets_the_same_refusal(
    here: Server, there: Server, history: list[Command], command: Command, code: str
) -> None:
    for earlier in history:
        await here.handle(earlier)
    with refused(code) as first:
        await here.handle(command, "key")
    for later in (raising("critical"), raising(text="hot"), clearing(), raising()):
        await there.handle(later)
        for server in (here, there):
            with refused(code) as again:
                await server.handle(command, "key")
            assert again[0].detail == first[0].detail
            assert again[0].alarm == first[0].alarm


async def test_a_key_under_which_nothing_changed_changes_nothing_later(here: Server, there: Server) -> None:
    """A late retry must not act on a newer occurrence."""
    await here.handle(raising())
    await here.handle(clearing())
    first = await here.handle(clearing(), "key")
    assert first.event is None
    await here.handle(raising())
    for server in (here, there):
        assert await server.handle(clearing(), "key") == first
    assert (await here.handle(raising())).alarm.active


@pytest.mark.parametrize(
    "first", [raising(), raising("critical"), clearing(), acknowledging(1), acknowledging(9)]
)
@pytest.mark.parametrize("second", [raising(), raising(text="x"), clearing(), acknowledging(1)])
async def test_the_same_key_with_another_body_is_refused(
    here: Server, there: Server, events: Events, first: Command, second: Command
) -> None:
    await here.handle(raising())
    with suppress(Refused):
        await here.handle(first, "key", "body")
    count = len(events.all)
    for server in (here, there):
        with refused("idempotency_key_reused"):
            await server.handle(second, "key", "another body")
    assert len(events.all) == count


async def test_the_same_key_on_another_alarm_is_refused(here: Server, events: Events) -> None:
    await here.handle(raising(), "key", "body")
    other = Identity("default", "line/2", "pressure")
    with refused("idempotency_key_reused"):
        await here.handle(raising(identity=other), "key", "another body")
    with refused("idempotency_key_reused"):
        await here.handle(replace(clearing(), alarm_id=other.alarm_id), "key", "another body")
    assert len(events.all) == 1


async def test_a_key_means_something_to_its_tenant_only(here: Server, events: Events) -> None:
    mine = await here.handle(raising(), "key", "body")
    others = await here.handle(raising(identity=replace(PUMP, tenant="other")), "key", "another body")
    assert [mine.event, others.event] == events.all


async def test_input_out_of_bounds_does_not_use_the_key_up(here: Server) -> None:
    with pytest.raises(InvalidInput):
        await here.handle(raising(text="x" * 5_000), "key", "typo")
    assert (await here.handle(raising(), "key", "body")).event is not None


async def test_a_command_that_may_not_have_happened_does_not_use_the_key_up(here: Server) -> None:
    def fail() -> None:
        raise failure

    here.log.before_append = fail
    for failure in (Unavailable("away"), OutcomeUnknown("no answer")):
        with pytest.raises(type(failure)):
            await here.handle(raising(), "key")
    here.log.before_append = lambda: None
    assert (await here.handle(raising(), "key")).event is not None


async def test_many_commands_at_once_with_one_key_are_one(
    here: Server, there: Server, events: Events
) -> None:
    outcomes = await asyncio.gather(
        *(server.handle(raising(), "key") for _ in range(5) for server in (here, there))
    )
    assert len(events.all) == 1
    assert all(outcome == outcomes[0] for outcome in outcomes)


async def test_a_key_that_was_used_meanwhile_is_found_by_the_log(
    here: Server, there: Server, events: Events
) -> None:
    """Another process records the same request between the decision here and its append."""
    await here.handle(raising())
    first = await there.handle(acknowledging(1), "key")
    assert await here.handle(acknowledging(1), "key") == first
    assert len(events.all) == 2


async def test_conflicts_and_duplicates_never_reach_the_caller(here: Server, there: Server) -> None:
    commands: list[Command] = [
        raising(),
        clearing(),
        raising("critical"),
        acknowledging(3),
        raising(text="x"),
    ]
    results = await asyncio.gather(
        *(server.handle(each, f"{n % 3}") for n, each in enumerate(commands) for server in (here, there)),
        return_exceptions=True,
    )
    for result in results:
        assert not isinstance(result, RevisionConflict | DuplicateCommand)
        assert isinstance(result, Outcome | Refused)
