"""Buckets: ten minutes of a tenant's alarm activity, in numbers that add up (IEC 62682 §16)."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from core.alarm.alarm import Severity
from core.kpi.activity import Activity

BUCKET = timedelta(minutes=10)
"""The period by which floods are judged."""
ALARMS = 2_000
"""How many alarms a bucket tells apart; any further ones count only in `others`."""
CHATTER_SECONDS = 60.0
CHATTER_COUNT = 3
"""An alarm annunciated this often within CHATTER_SECONDS is chattering."""
FLEETING_SECONDS = 10.0
"""An alarm cleared within this time, unacknowledged, is fleeting: nobody can have acted on it."""
STEPS = 4
"""Steps per doubling of a time in the histogram of times: each is 19 % wide."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AlarmLoad(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The load of one alarm. `acknowledged`: how often, by histogram step of the time it took.

    `recent`: the times of its last annunciations, at most two, in ms since 1970.
    """

    source: str = ""
    type: str = ""
    annunciated: dict[Severity, int] = {}
    recent: list[int] = []
    chattering: int = 0
    fleeting: int = 0
    acknowledged: dict[str, int] = {}

    @property
    def count(self) -> int:
        """How often the alarm was annunciated."""
        return sum(self.annunciated.values())

    def merge(self, other: "AlarmLoad") -> None:
        """Add the same alarm's load of another time."""
        for severity, count in other.annunciated.items():
            self.annunciated[severity] = self.annunciated.get(severity, 0) + count
        for step, count in other.acknowledged.items():
            self.acknowledged[step] = self.acknowledged.get(step, 0) + count
        self.chattering += other.chattering
        self.fleeting += other.fleeting

    def add(self, activity: Activity) -> None:
        """Count one more activity."""
        match activity.kind:
            case "annunciated":
                self._annunciated(activity)
            case "acknowledged":
                step = str(step_of(activity.seconds))
                self.acknowledged[step] = self.acknowledged.get(step, 0) + 1
            case "cleared":
                self.fleeting += not activity.noted and activity.seconds <= FLEETING_SECONDS

    def _annunciated(self, activity: Activity) -> None:
        self.annunciated[activity.severity] = self.annunciated.get(activity.severity, 0) + 1
        at = (activity.at - _EPOCH) // timedelta(milliseconds=1)
        within = [time for time in self.recent if at - time <= CHATTER_SECONDS * 1_000]
        self.chattering += len(within) >= CHATTER_COUNT - 1
        self.recent = [*within, at][-(CHATTER_COUNT - 1) :]


class Bucket(msgspec.Struct, kw_only=True):
    """One tenant's activity in the ten minutes from `start`, up to the event at `position`."""

    tenant: str
    start: datetime
    position: int = 0
    alarms: dict[str, AlarmLoad] = {}
    others: AlarmLoad = msgspec.field(default_factory=AlarmLoad)
    carried: dict[str, list[int]] = {}
    """Annunciations in the minute before `start` (ms since 1970), by alarm: chattering spans buckets."""

    def add(self, activity: Activity) -> None:
        """Count one more activity of this tenant and time."""
        load = self.alarms.get(activity.alarm_id)
        if load is None:
            if len(self.alarms) >= ALARMS:
                self.others.add(activity)
                # Chattering is about one alarm, and `others` mixes many.
                self.others.recent, self.others.chattering = [], 0
                return
            recent = self.carried.get(activity.alarm_id, [])
            load = AlarmLoad(source=activity.source, type=activity.type, recent=recent)
            self.alarms[activity.alarm_id] = load
        load.add(activity)


def start_of(time: datetime) -> datetime:
    """Return the start of the time's bucket (UTC, on the whole ten minutes)."""
    return _EPOCH + (time - _EPOCH) // BUCKET * BUCKET


def following(tenant: str, start: datetime, before: Bucket | None) -> Bucket:
    """Return an empty bucket; `before` is the complete bucket ten minutes earlier."""
    bucket = Bucket(tenant=tenant, start=start)
    if before is not None:
        since = (start - _EPOCH) / timedelta(milliseconds=1) - CHATTER_SECONDS * 1_000
        for alarm_id, load in before.alarms.items():
            recent = [time for time in load.recent if time >= since]
            if recent:
                bucket.carried[alarm_id] = recent
    return bucket


def step_of(seconds: float) -> int:
    """Return the histogram step of a time; 0: up to a second."""
    return max(0, math.ceil(math.log2(seconds) * STEPS)) if seconds > 1 else 0


def seconds_of(step: int) -> float:
    """Return the longest time of a step."""
    return float(2 ** (step / STEPS))


def quantile(steps: dict[int, int], share: float) -> float | None:
    """Return the time (s) within which the share of all times lies, to the step; None if there are none."""
    total = sum(steps.values())
    if not total:
        return None
    reached = 0
    for step in sorted(steps):
        reached += steps[step]
        if reached >= share * total:
            return seconds_of(step)
    raise AssertionError  # pragma: no cover (the last step reaches any share)


def merged_steps(loads: Iterable[AlarmLoad]) -> dict[int, int]:
    """Return the histogram of all loads together."""
    steps: dict[int, int] = {}
    for load in loads:
        for step, count in load.acknowledged.items():
            steps[int(step)] = steps.get(int(step), 0) + count
    return steps
