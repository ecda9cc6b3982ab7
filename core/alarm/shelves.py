"""Tracks the known timed shelves and when they end."""

import heapq
from datetime import datetime

import msgspec

from core.alarm.alarm import Alarm

STALE_ENTRIES = 1_000
"""How many more stale entries than shelves the heap may hold before it is rebuilt."""


class Shelf(msgspec.Struct, frozen=True, gc=False):
    """A timed shelf: its alarm, and when it ends (UTC)."""

    until: datetime
    alarm_id: str
    tenant: str


class Shelves:
    """The timed shelves, the earliest end first; each alarm has one at most."""

    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}
        # Entries of renewed or ended shelves stay until they reach the top.
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._shelves)

    def see(self, alarm: Alarm) -> None:
        """Keep the alarm's timed shelf, or forget it if the alarm has none."""
        if alarm.shelved_until is None:
            self._shelves.pop(alarm.id, None)
            return
        shelf = Shelf(alarm.shelved_until, alarm.id, alarm.tenant)
        if self._shelves.get(alarm.id) == shelf:
            return
        self._shelves[alarm.id] = shelf
        heapq.heappush(self._heap, (shelf.until, shelf.alarm_id))
        if len(self._heap) > 2 * len(self._shelves) + STALE_ENTRIES:
            self._heap = [(each.until, each.alarm_id) for each in self._shelves.values()]
            heapq.heapify(self._heap)

    def earliest(self) -> datetime | None:
        """Return when the next shelf ends, None if there is none."""
        while self._heap:
            until, alarm_id = self._heap[0]
            shelf = self._shelves.get(alarm_id)
            if shelf is not None and shelf.until == until:
                return until
            heapq.heappop(self._heap)
        return None

    def take_due(self, now: datetime, limit: int) -> list[Shelf]:
        """Remove and return the shelves that have ended by `now`, at most `limit`, the earliest first."""
        due: list[Shelf] = []
        while len(due) < limit:
            until = self.earliest()
            if until is None or until > now:
                break
            due.append(self._shelves.pop(heapq.heappop(self._heap)[1]))
        return due
