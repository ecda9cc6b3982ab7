"""What would have been annunciated under other rules: alarm activity in, less of it out (ISA-18.2 §13)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from core.alarm.alarm import Severity
from core.kpi.activity import Activity
from core.lists.filter import split_sources


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds; all of them 0: nothing changes.

    `on_delay`: a condition must hold so long to be annunciated. `off_delay`: one that comes back sooner has
    not been away. `deadband`: an alarm is not annunciated again sooner than that after the last time.
    `shelved`: sources that call nobody, exact or `prefix/*`. `severities`: by type of alarm.
    """

    on_delay: float = 0.0
    off_delay: float = 0.0
    deadband: float = 0.0
    shelved: frozenset[str] = frozenset()
    severities: Mapping[str, Severity] = {}


class _AlarmState(msgspec.Struct):
    """What the rules have to remember of an alarm."""

    pending: Activity | None = None
    """Annunciated, and held back until the condition has lasted."""
    ending: Activity | None = None
    """Cleared, and held back until the condition has been away for long enough."""
    last: datetime | None = None
    """When it was last annunciated under the rules."""
    active: bool = False
    """Whether the condition is there, under the rules."""
    shown: bool = True
    """Whether the present annunciation counts, and with it what follows from it."""


def applied(activities: Iterable[Activity], rules: Rules) -> Iterator[Activity]:
    """Yield what is left of the activity, each alarm's in its order. Memory grows with the alarms."""
    states: dict[str, _AlarmState] = {}
    exact, prefixes = split_sources(rules.shelved)
    for activity in activities:
        if activity.source in exact or activity.source.startswith(prefixes):
            continue
        severity = rules.severities.get(activity.type, activity.severity)
        state = states.setdefault(activity.alarm_id, _AlarmState())
        yield from _next(state, replace(activity, severity=severity), rules)
    for state in states.values():
        yield from _due(state, None, rules)


def _next(state: _AlarmState, activity: Activity, rules: Rules) -> Iterator[Activity]:
    yield from _due(state, activity.at, rules)
    match activity.kind:
        case "annunciated":
            yield from _annunciated(state, activity, rules)
        case "cleared":
            yield from _cleared(state, activity, rules)
        case "acknowledged":
            if state.shown and state.pending is None:
                yield activity


def _annunciated(state: _AlarmState, activity: Activity, rules: Rules) -> Iterator[Activity]:
    if state.ending is not None:
        # It came back before it would have been away.
        state.ending = None
    elif state.pending is not None:
        # More severe, but the same condition: it has lasted since it began.
        state.pending = replace(activity, at=state.pending.at)
    elif state.active or rules.on_delay == 0:
        state.active = True
        yield from _shown(state, activity, rules)
    else:
        state.active, state.pending, state.shown = True, activity, False


def _cleared(state: _AlarmState, activity: Activity, rules: Rules) -> Iterator[Activity]:
    if state.pending is not None:
        # It went before it would have been annunciated.
        state.pending, state.active = None, False
    elif rules.off_delay > 0:
        state.ending = activity
    else:
        state.active = False
        if state.shown:
            yield activity


def _due(state: _AlarmState, now: datetime | None, rules: Rules) -> Iterator[Activity]:
    """Let go of what was held back long enough; `now` None: the period is over."""
    held, delay = state.pending, rules.on_delay
    if held is None:
        held, delay = state.ending, rules.off_delay
    if held is None:
        return
    due = held.at + timedelta(seconds=delay)
    if now is not None and now < due:
        return
    if held is state.pending:
        state.pending = None
        yield from _shown(state, replace(held, at=due), rules)
    else:
        state.ending, state.active = None, False
        if state.shown:
            yield replace(held, at=due, seconds=held.seconds + delay)


def _shown(state: _AlarmState, activity: Activity, rules: Rules) -> Iterator[Activity]:
    since = None if state.last is None else (activity.at - state.last).total_seconds()
    if since is not None and since < rules.deadband:
        state.shown = False
        return
    state.last, state.shown = activity.at, True
    yield activity
