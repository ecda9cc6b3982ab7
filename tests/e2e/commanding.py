"""What the machine of the commands expects: alarms by core's rules, positions and keys by its own books."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from core.alarm.alarm import Alarm, Identity
from core.alarm.commands import Command
from core.alarm.condition import Clear
from core.alarm.context import Context, Expected
from core.alarm.decider import allowed_commands, decide
from core.alarm.events import Actor
from core.alarm.evolution import place
from core.errors import InvalidInput, Refused
from entrypoints.http.codes import CODES
from entrypoints.http.schemas.bodies import BY_ID, RaiseBody, raising, utc
from tests.kit.given import BEGINNING

Said = dict[str, Any]

CLOCKED = ("raised_at", "cleared_at", "acked_at", "updated_at", "occurred_at", "shelved_until")
"""What the two sides' clocks tell: they only agree on whether there is such a time."""


class Answer(msgspec.Struct, frozen=True):
    """What a command is answered: an alarm and its position, or a problem's code."""

    status: int
    changed: bool = False
    position: int = 0
    alarm: Said | None = None
    code: str | None = None
    stands: tuple[str, int, tuple[str, ...]] | None = None


def answer_of(status: int, body: Said) -> Answer:
    """Return what a server answered."""
    if status < 300:
        return Answer(status, body["changed"], body["position"], shown(body["alarm"]))
    stands = None
    if "state" in body:
        stands = (body["state"], body["revision"], tuple(body["allowed_commands"]))
    return Answer(status, code=body["code"], stands=stands)


def shown(alarm: Alarm | Said) -> Said:
    """Return what both sides must agree on about an alarm."""
    fields: Said = dict(alarm) if isinstance(alarm, dict) else msgspec.to_builtins(alarm)
    return fields | {name: fields[name] is not None for name in CLOCKED}


class Model:
    """One tenant's alarms as they must be after commands one after the other, from `position` on."""

    def __init__(self, position: int) -> None:
        self.position = position
        # Commands of one request on several alarms land in any order: what is first here may be later there.
        self._positions: dict[int, int] = {}
        self.alarms: dict[str, Alarm] = {}
        self._keys: dict[str, tuple[str, Answer]] = {}
        self._commands = 0

    def handle(self, said: Said, key: str | None, asked: str) -> Answer:
        """Return the answer to a command, in the form of an element of /v1/commands.

        `asked` tells requests apart: a key counts for one of them alone.
        """
        first = None if key is None else self._keys.get(key)
        if first is not None:
            if first[0] == asked:
                return first[1]
            # What can be no command at all is refused before anybody looks for the key of an event.
            decided = self._decided(said, commit=False)
            if decided.code == "invalid" and first[1].changed:
                return decided
            return Answer(422, code="idempotency_key_reused")
        answer = self._decided(said, commit=True)
        if key is not None and answer.code != "invalid":
            self._keys[key] = (asked, answer)
        return answer

    def learn(self, after: int, got: list[Answer], expected: list[Answer]) -> None:
        """Take note of the order in which a server recorded what is new since the position `after`."""
        new = {
            theirs.position: ours
            for theirs, ours in zip(got, expected, strict=True)
            if ours.changed and ours.position > after
        }
        assert sorted(new) == list(range(after + 1, self.position + 1))
        in_order = [_stream_and_revision(new[position]) for position in sorted(new)]
        for stream in {stream for stream, _ in in_order}:
            revisions = [revision for each, revision in in_order if each == stream]
            assert revisions == sorted(revisions)
        for position, ours in sorted(new.items()):
            self._positions[position] = ours.position

    def translated(self, answer: Answer) -> Answer:
        """Return a server's answer with the position that the event has here."""
        if answer.alarm is None:
            return answer
        alarm = self.row(answer.alarm)
        return replace(answer, position=alarm["position"], alarm=alarm)

    def row(self, alarm: Said) -> Said:
        """Return a server's alarm with the position that its event has here."""
        return alarm | {"position": self._positions.get(alarm["position"], alarm["position"])}

    def listed(self, *, everything: bool) -> dict[str, Said]:
        """Return the rows of the alarm list, by id."""
        rows: Iterable[Alarm] = self.alarms.values()
        return {alarm.id: shown(alarm) for alarm in rows if everything or alarm.state != "normal"}

    def _decided(self, said: Said, *, commit: bool) -> Answer:
        self._commands += 1
        command = self._command(said)
        alarm = self.alarms.get(command.alarm_id, Alarm.absent(command.alarm_id))
        try:
            event = decide(alarm, command)
        except Refused as refusal:
            return _refused(refusal)
        if event is None:
            return Answer(200, position=alarm.position, alarm=shown(alarm))
        placed = place(alarm, event, self.position + 1, None)
        if commit:
            self.position += 1
            self.alarms[alarm.id] = placed.alarm
        status = 201 if event.type == "alarm.raised" else 200
        return Answer(status, changed=True, position=placed.position, alarm=shown(placed.alarm))

    def _command(self, said: Said) -> Command:
        body = {name: value for name, value in said.items() if name not in ("command", "if_match")}
        name, expected = said["command"], said.get("if_match")
        by = self._context("operator", "anonymous", None if expected is None else frozenset({expected}))
        source = replace(by, actor=Actor(said.get("source", ""), "source"))
        if name == "raise":
            report = msgspec.convert(body, RaiseBody)
            return raising(replace(source, occurred_at=utc(report.occurred_at)), report)
        if "source" in body:
            identity = Identity("default", body["source"], body["type"], body["qualifier"])
            return Clear(context=source, alarm_id=identity.alarm_id, origin=body.get("origin"))
        alarm_id = body.pop("alarm_id")
        return BY_ID[name].make(by, alarm_id, msgspec.convert(body, BY_ID[name].body))

    def _context(self, kind: Any, actor: str, expected: Expected | None) -> Context:
        return Context(
            event_id=str(self._commands),
            tenant="default",
            actor=Actor(actor, kind),
            now=BEGINNING + timedelta(seconds=self._commands),
            expected=expected,
        )


def _stream_and_revision(answer: Answer) -> tuple[str, int]:
    assert answer.alarm is not None
    return answer.alarm["id"], answer.alarm["revision"]


def _refused(refusal: Refused) -> Answer:
    stands = None
    if refusal.alarm is not None:
        alarm = refusal.alarm
        stands = (alarm.state, alarm.revision, tuple(allowed_commands(alarm)))
    code = "invalid" if isinstance(refusal, InvalidInput) else refusal.code
    return Answer(CODES[refusal.code].status, code=code, stands=stands)
