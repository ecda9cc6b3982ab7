"""Chooses which rows of one webhook may be sent now: in order for each alarm, alarms in parallel."""

import heapq
from collections import deque
from collections.abc import Sequence
from datetime import datetime

import msgspec

from core.outbox.row import Row

WINDOW = 256
"""How many rows of a webhook to hold in memory, and to read at once; a read may exceed it by half."""
LANE_ROWS = 32
"""How many of these rows one alarm may have, so that busy alarms leave room for others."""
AT_ONCE = 16
"""How many calls to one endpoint may be under way while it answers."""
PARKED = 10_000
"""How many alarms may wait for a retry before scans stop."""


class Scan(msgspec.Struct, frozen=True, gc=False):
    """Read the pending rows of positions > `after`, in order, at most `limit`; then call `scanned`."""

    after: int
    limit: int


class ReadLane(msgspec.Struct, frozen=True, gc=False):
    """Read the alarm's pending rows, in order, at most `limit`; then call `lane_read`."""

    alarm_id: str
    limit: int


class _Lane:
    """One alarm's rows."""

    __slots__ = ("apart", "busy", "last", "rows", "until")

    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.busy = False
        # Whether the lane's rows are read on their own; scans then skip them.
        self.apart = False
        # When the next try of the first row is due.
        self.until: datetime | None = None
        # The highest position read.
        self.last = 0


class Lanes:
    """The pending rows of one webhook, as far as they have been read. Does no I/O.

    The caller's duty: read and hand over the rows that `wanted()` names, one read at a time; make a call for
    each row that `take()` returns, and call `settled()` once the outbox has recorded the outcome; call
    `wake()` when `earliest()` has come, and `stir()` when there may be new rows. `take()` returns a row only
    when no earlier row of its alarm is pending, so the rows of an alarm go out in order.
    """

    def __init__(self, most: int = AT_ONCE, window: int = WINDOW, lane_rows: int = LANE_ROWS) -> None:
        self._most = most
        self._window = window
        self._lane_rows = lane_rows
        self._limit = most
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()
        self._to_read: deque[str] = deque()
        # Entries of lanes read anew meanwhile stay until they reach the top.
        self._heap: list[tuple[datetime, str]] = []
        self._parked = 0
        self._loaded = 0
        self._in_flight = 0
        self._after = 0
        self._more = True
        self._reading = False
        self._finished: set[int] = set()

    @property
    def idle(self) -> bool:
        """Whether no row read so far remains to be sent, now or later."""
        return not self._lanes

    def stir(self) -> None:
        """Note that there may be new rows."""
        self._more = True
        if self.idle:
            # Starting over skips no row and finds rows that were routed late.
            self._after = 0

    def rescan(self) -> None:
        """Read everything anew: a row was revived. Call this while no read is under way."""
        self._lanes = {alarm_id: lane for alarm_id, lane in self._lanes.items() if lane.busy}
        for lane in self._lanes.values():
            lane.rows.clear()
            lane.apart = True
        self._ready.clear()
        self._to_read.clear()
        self._heap.clear()
        self._loaded = self._parked = self._after = 0
        self._more = True

    def wanted(self) -> Scan | ReadLane | None:
        """Return what to read next, None for nothing."""
        if self._loaded > self._window // 2:
            return None
        self._finished.clear()
        self._reading = True
        if self._to_read:
            return ReadLane(self._to_read[0], self._lane_rows)
        if self._more and self._parked < PARKED:
            # Reset before the read: it may miss rows that a `stir` announces from here on.
            self._more = False
            return Scan(self._after, self._window)
        self._reading = False
        return None

    def scanned(self, rows: Sequence[Row], now: datetime, limit: int) -> None:
        """Take the answer to a Scan of this limit."""
        self._reading = False
        self._more = self._more or len(rows) >= limit
        for row in rows:
            self._after = row.position
            lane = self._lanes.get(row.alarm_id)
            if lane is None:
                if row.position in self._finished:
                    continue
                lane = self._lanes[row.alarm_id] = _Lane()
            elif lane.apart or row.position <= lane.last:
                continue
            if len(lane.rows) >= self._lane_rows:
                lane.apart = True
                continue
            self._add(row, lane)
            if len(lane.rows) == 1 and not lane.busy:
                self._advance(row.alarm_id, lane, now)

    def lane_read(self, alarm_id: str, rows: Sequence[Row], now: datetime, limit: int) -> None:
        """Take the answer to a ReadLane of this limit."""
        self._reading = False
        self._to_read.popleft()
        lane = self._lanes[alarm_id]
        lane.apart = len(rows) >= limit
        for row in rows:
            self._add(row, lane)
        self._advance(alarm_id, lane, now)

    def take(self) -> Row | None:
        """Return the next row to send, None if there is none or too many calls are under way."""
        if not self._ready or self._in_flight >= self._limit:
            return None
        lane = self._lanes[self._ready.popleft()]
        lane.busy = True
        self._in_flight += 1
        self._loaded -= 1
        return lane.rows.popleft()

    def settled(self, row: Row, now: datetime) -> None:
        """Note the outcome of a row that was taken: delivered, dead, or to be tried again."""
        self._in_flight -= 1
        lane = self._lanes[row.alarm_id]
        lane.busy = False
        # A failing endpoint gets one call at a time until it answers, so it ties up one connection.
        self._limit = min(self._most, 2 * self._limit) if row.state == "delivered" else 1
        if row.state == "pending":
            self._park(row.alarm_id, lane, row.next_at)
            return
        if self._reading:
            self._finished.add(row.position)
        self._advance(row.alarm_id, lane, now)

    def earliest(self) -> datetime | None:
        """Return when the next try is due, None if none waits."""
        while self._heap:
            until, alarm_id = self._heap[0]
            lane = self._lanes.get(alarm_id)
            if lane is not None and lane.until == until:
                return until
            heapq.heappop(self._heap)
        return None

    def wake(self, now: datetime) -> None:
        """Resume the alarms whose wait has ended by `now`."""
        while (until := self.earliest()) is not None and until <= now:
            alarm_id = heapq.heappop(self._heap)[1]
            self._lanes[alarm_id].until = None
            self._parked -= 1
            self._to_read.append(alarm_id)

    def _add(self, row: Row, lane: _Lane) -> None:
        lane.rows.append(row)
        lane.last = row.position
        self._loaded += 1

    def _advance(self, alarm_id: str, lane: _Lane, now: datetime) -> None:
        """Choose the next step of a lane with no call under way."""
        if lane.rows:
            head = lane.rows[0]
            # Ignore `next_at` before the first try: the clock that set it may be ahead of this one.
            if head.attempts and head.next_at > now:
                self._park(alarm_id, lane, head.next_at)
            else:
                self._ready.append(alarm_id)
        elif lane.apart:
            self._to_read.append(alarm_id)
        else:
            del self._lanes[alarm_id]

    def _park(self, alarm_id: str, lane: _Lane, until: datetime) -> None:
        self._loaded -= len(lane.rows)
        lane.rows.clear()
        lane.apart, lane.until = True, until
        self._parked += 1
        heapq.heappush(self._heap, (until, alarm_id))
