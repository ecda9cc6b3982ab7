"""Filters alarm activity to what other rules would have annunciated (ISA-18.2 §13)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from core.alarm.alarm import Severity
from core.kpi.activity import Activity
from core.lists.filter import split_sources


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Rules to try out; times are in seconds, and 0 changes nothing.

    `on_delay`: how long a condition must hold to be annunciated. `off_delay`: how long it must be gone to
    count as cleared. `deadband`: the least time between an alarm's annunciations. `shelved`: sources that
    call nobody, exact or `prefix/*`. `severities`: by type of alarm.
    """

    on_delay: float = 0.0
    off_delay: float = 0.0
    deadband: float = 0.0
    shelved: frozenset[str] = frozenset()
    severities: Mapping[str, Severity] = {}


class _AlarmState(msgspec.Struct):
    """What the rules remember of an alarm."""

    pending: Activity | None = None
    """An annunciation, held back until the condition has lasted long enough."""
    ending: Activity | None = None
    """A clear, held back until the condition has been gone long enough."""
    last: datetime | None = None
    """When it was last annunciated under the rules."""
    active: bool = False
    """Whether the condition holds, under the rules."""
    shown: bool = True
    """Whether the present annunciation counts, and with it its acknowledgement and its clear."""


def applied(activities: Iterable[Activity], rules: Rules) -> Iterator[Activity]:
    """Yield the remaining activity, in order for each alarm. Memory grows with the alarms."""
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
        # The condition came back within the off-delay.
        state.ending = None
    elif state.pending is not None:
        # The same condition, now more severe: the on-delay still counts from its beginning.
        state.pending = replace(activity, at=state.pending.at)
    elif state.active or rules.on_delay == 0:
        state.active = True
        yield from _shown(state, activity, rules)
    else:
        state.active, state.pending, state.shown = True, activity, False


def _cleared(state: _AlarmState, activity: Activity, rules: Rules) -> Iterator[Activity]:
    if state.pending is not None:
        # The condition went within the on-delay.
        state.pending, state.active = None, False
    elif rules.off_delay > 0:
        state.ending = activity
    else:
        state.active = False
        if state.shown:
            yield activity


def _due(state: _AlarmState, now: datetime | None, rules: Rules) -> Iterator[Activity]:
    """Release an activity held back long enough; `now` None: the period is over."""
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
