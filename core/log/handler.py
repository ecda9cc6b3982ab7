"""From a command to its outcome: decide on the alarm as it stands, append, decide again after a conflict."""

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
"""How often one command is decided before it is given up as losing every race."""

IDEMPOTENCY_KEY_REUSED = Refusal(
    "idempotency_key_reused",
    "invalid",
    "the Idempotency-Key was used with another request",
    "use a key of its own for each request",
)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a command: the event it added, or None: nothing changed; and the alarm afterwards."""

    event: Event | None
    alarm: Alarm


class CommandHandler:
    """Handles commands on one log.

    Decisions that write may rest on remembered state: the log's unique (stream, revision) catches what
    was missed. A refusal or "nothing changed" is answered only from a fresh read.
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
        """How many commands came to each outcome, by the command's and the outcome's name."""

    async def handle(self, command: Command) -> Outcome:
        """Carry the command out; when this returns, its event is majority-committed.

        Raises:
            Refused: by the alarm's rules, or the Idempotency-Key was used for another request.
            Unavailable: it did not happen and will not.
            OutcomeUnknown: it may have happened; asking again with the same Idempotency-Key tells.
            UnknownEvent: the alarm's newest event was written by a newer version; nothing was recorded.
        """
        named = "failed"
        try:
            outcome = await self._handle(command)
            named = "unchanged" if outcome.event is None else "changed"
        except Refused:
            named = "refused"
            raise
        except (Unavailable, OutcomeUnknown) as error:
            named = "unavailable" if isinstance(error, Unavailable) else "outcome_unknown"
            raise
        finally:
            counted = type(command).__name__, named
            self.counts[counted] = self.counts.get(counted, 0) + 1
        return outcome

    async def _handle(self, command: Command) -> Outcome:
        if command.context.command_id is None:
            return await self._in_turn(command)
        return await self._once(command, command.context.command_id)

    async def _once(self, command: Command, command_id: str) -> Outcome:
        tenant, command_hash = command.context.tenant, command.context.command_hash or ""
        # Before deciding: a late retry of a command that changed nothing must not act on a newer occurrence.
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
        async with self._turns.turn(command.alarm_id):
            remembered = self._known.get(command.alarm_id)
            if remembered is not None:
                outcome = await self._try(command, remembered)
                if outcome is not None:
                    return outcome
            return await self._decide_freshly(command)

    async def _try(self, command: Command, remembered: Alarm) -> Outcome | None:
        """Carry it out on remembered state, or return None where that state does not suffice."""
        try:
            event = decide(remembered, command)
        except Refused:
            return None
        if event is None:
            return None
        try:
            return await self._append(remembered, event)
        except RevisionConflict:
            return None

    async def _decide_freshly(self, command: Command) -> Outcome:
        for _ in range(DECISIONS):
            alarm = await self._read(command.alarm_id)
            event = decide(alarm, command)
            if event is None:
                return Outcome(None, alarm)
            try:
                return await self._append(alarm, event)
            except RevisionConflict:
                continue
        raise Unavailable(f"others changed the alarm {DECISIONS} times meanwhile")

    async def _append(self, before: Alarm, event: Event) -> Outcome:
        recorded = await self._appender.append(before, event)
        self._known.see(recorded.alarm)
        return Outcome(recorded, recorded.alarm)

    async def _read(self, alarm_id: str) -> Alarm:
        newest = await self._log.newest(alarm_id)
        read = Alarm.absent(alarm_id) if newest is None else await alarm_after(self._log, newest)
        if newest is not None:
            self._known.see(read)
        # A new primary's majority view may lag behind what this process has seen committed.
        remembered = self._known.get(alarm_id)
        return read if remembered is None else remembered


def _first_outcome(event: Event, command_hash: str) -> Outcome:
    _check_same(event.command_hash or "", command_hash)
    return Outcome(event, event.alarm)


def _kept_outcome(kept: KeptAnswer, command_hash: str) -> Outcome:
    _check_same(kept.command_hash, command_hash)
    alarm = None if kept.body["alarm"] is None else msgspec.convert(kept.body["alarm"], Alarm)
    if kept.body["code"] is not None:
        raise Refused(REFUSALS[kept.body["code"]], kept.body["detail"], alarm)
    assert alarm is not None  # noqa: S101 (an answer that is no refusal was made with its alarm)
    return Outcome(None, alarm)


def _check_same(first: str, now: str) -> None:
    if first != now:
        raise Refused(IDEMPOTENCY_KEY_REUSED, "this Idempotency-Key came with another request before")


def _refusal_answer(command_hash: str, refusal: Refused) -> KeptAnswer:
    body: dict[str, Any] = {"code": refusal.code, "detail": refusal.detail, "alarm": None}
    if refusal.alarm is not None:
        body["alarm"] = msgspec.to_builtins(refusal.alarm)
    return KeptAnswer(command_hash, body)


def _unchanged_answer(command_hash: str, outcome: Outcome) -> KeptAnswer:
    return KeptAnswer(
        command_hash, {"code": None, "detail": None, "alarm": msgspec.to_builtins(outcome.alarm)}
    )
