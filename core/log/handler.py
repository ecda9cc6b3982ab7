"""Handles a command: decides on the alarm as it stands, appends, decides again after a conflict."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from core.alarm.alarm import Alarm
from core.alarm.commands import REFUSALS, Command
from core.alarm.decider import decide
from core.alarm.events import Event
from core.coordination.ports import Turns
from core.errors import (
    DuplicateCommand,
    InvalidInput,
    OutcomeUnknown,
    Refusal,
    Refused,
    RevisionConflict,
    Unavailable,
)
from core.log.known_alarms import KnownAlarms
from core.log.ports import Answers, DecisionReader, EventAppender, KeptAnswer
from core.log.snapshots import alarm_after

DECISIONS = 16
"""How often a command is decided before the handler gives up."""

ReadNewest = Callable[[str], Awaitable[Event | None]]
"""Reads a stream's newest event."""

IDEMPOTENCY_KEY_REUSED = Refusal(
    "idempotency_key_reused",
    "invalid",
    "the Idempotency-Key was used with another request",
    "use a new key for each new request",
)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a command did: the event it added (None: nothing changed), and the alarm afterwards."""

    event: Event | None
    alarm: Alarm


class CommandHandler:
    """Handles commands on one log.

    A decision that writes may rest on remembered state: the log's unique (stream, revision) rejects it if
    that state is old. A refusal or "nothing changed" rests on a confirmed read: it is linearizable.
    """

    def __init__(
        self,
        appender: EventAppender,
        log: DecisionReader,
        turns: Turns,
        known: KnownAlarms,
        answers: Answers,
    ) -> None:
        self._appender = appender
        self._log = log
        self._turns = turns
        self._known = known
        self._answers = answers
        self.counts: dict[tuple[str, str], int] = {}
        """How many commands had each outcome, by the command's and the outcome's name."""

    async def alarm(self, alarm_id: str) -> Alarm:
        """Return the alarm as it stands at some moment of this call. Raises UnknownEvent, Unavailable."""
        return await self._seen(alarm_id, self._log.confirmed)

    async def handle(self, command: Command) -> Outcome:
        """Carry the command out; when this returns, its event is majority-committed.

        Raises:
            Refused: the alarm's rules forbid it, or another request used the Idempotency-Key.
            Unavailable: the command did not happen and will not.
            OutcomeUnknown: the command may have happened; a retry with the same Idempotency-Key tells.
            UnknownEvent: a newer version wrote the alarm's newest event; nothing was recorded.
        """
        ending = "failed"
        try:
            outcome = await self._handle(command)
            ending = "unchanged" if outcome.event is None else "changed"
        except Refused:
            ending = "refused"
            raise
        except (Unavailable, OutcomeUnknown) as error:
            ending = "unavailable" if isinstance(error, Unavailable) else "outcome_unknown"
            raise
        finally:
            key = type(command).__name__, ending
            self.counts[key] = self.counts.get(key, 0) + 1
        return outcome

    async def _handle(self, command: Command) -> Outcome:
        if command.context.command_id is None:
            return await self._in_turn(command)
        return await self._once(command, command.context.command_id)

    async def _once(self, command: Command, command_id: str) -> Outcome:
        tenant, command_hash = command.context.tenant, command.context.command_hash or ""
        # Look first: a late retry of a command that changed nothing must not act on a newer occurrence.
        kept = await self._answers.find(tenant, command_id)
        if kept is not None:
            return _kept_outcome(kept, command_hash)
        try:
            outcome = await self._in_turn(command)
        except DuplicateCommand as duplicate:
            return _first_outcome(duplicate.event, command_hash)
        except InvalidInput:
            raise
        except Refused as refusal:
            first = await self._log.by_command(tenant, command_id)
            if first is not None:
                return _first_outcome(first, command_hash)
            await self._answers.keep(tenant, command_id, _refusal_answer(command_hash, refusal))
            raise
        if outcome.event is None:
            first = await self._log.by_command(tenant, command_id)
            if first is not None:
                return _first_outcome(first, command_hash)
            await self._answers.keep(tenant, command_id, _unchanged_answer(command_hash, outcome))
        return outcome

    async def _in_turn(self, command: Command) -> Outcome:
        alarm_id = command.alarm_id
        async with self._turns.turn(alarm_id):
            alarm = self._known.get(alarm_id) or await self._seen(alarm_id, self._log.newest)
            for _ in range(DECISIONS):
                try:
                    return await self._carry_out(command, alarm)
                except RevisionConflict:
                    alarm = await self._seen(alarm_id, self._log.newest)
        raise Unavailable(f"other commands changed the alarm {DECISIONS} times meanwhile")

    async def _carry_out(self, command: Command, alarm: Alarm) -> Outcome:
        """Append what the command changes. Raises RevisionConflict, and what `handle` raises."""
        event = _change(alarm, command)
        if event is None:
            # The alarm may have changed on another process, or on a primary that replaced the one asked.
            alarm = await self._seen(command.alarm_id, self._log.confirmed)
            event = decide(alarm, command)
        return Outcome(None, alarm) if event is None else await self._append(alarm, event)

    async def _append(self, before: Alarm, event: Event) -> Outcome:
        recorded = await self._appender.append(before, event)
        self._known.see(recorded.alarm)
        return Outcome(recorded, recorded.alarm)

    async def _seen(self, alarm_id: str, read: ReadNewest) -> Alarm:
        newest = await read(alarm_id)
        alarm = Alarm.absent(alarm_id) if newest is None else await alarm_after(self._log, newest)
        if newest is not None:
            self._known.see(alarm)
        # A new primary's majority view may lag behind what this process has seen committed.
        return self._known.get(alarm_id) or alarm


def _change(alarm: Alarm, command: Command) -> Event | None:
    """Return the event that the command adds to the alarm, None if it changes nothing or is refused."""
    try:
        return decide(alarm, command)
    except Refused:
        return None


def _first_outcome(event: Event, command_hash: str) -> Outcome:
    _check_same(event.command_hash or "", command_hash)
    return Outcome(event, event.alarm)


def _kept_outcome(kept: KeptAnswer, command_hash: str) -> Outcome:
    _check_same(kept.command_hash, command_hash)
    alarm = None if kept.body["alarm"] is None else msgspec.convert(kept.body["alarm"], Alarm)
    if kept.body["code"] is not None:
        raise Refused(REFUSALS[kept.body["code"]], kept.body["detail"], alarm)
    assert alarm is not None  # noqa: S101 (only a refusal is kept without its alarm)
    return Outcome(None, alarm)


def _check_same(first: str, now: str) -> None:
    if first != now:
        raise Refused(IDEMPOTENCY_KEY_REUSED, "another request used this Idempotency-Key before")


def _refusal_answer(command_hash: str, refusal: Refused) -> KeptAnswer:
    body: dict[str, Any] = {"code": refusal.code, "detail": refusal.detail, "alarm": None}
    if refusal.alarm is not None:
        body["alarm"] = msgspec.to_builtins(refusal.alarm)
    return KeptAnswer(command_hash, body)


def _unchanged_answer(command_hash: str, outcome: Outcome) -> KeptAnswer:
    return KeptAnswer(
        command_hash, {"code": None, "detail": None, "alarm": msgspec.to_builtins(outcome.alarm)}
    )
