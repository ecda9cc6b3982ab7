"""Reports this process's own writes, as the driver sees them, where there is no change stream."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

from pymongo import monitoring

_WRITES = frozenset({"insert", "update", "delete", "findAndModify"})


class WriteMonitor(monitoring.CommandListener, monitoring.ServerListener):
    """Calls `changed(topic)` on the event loop after each write of this process to one of the topics.

    It hears of the commands themselves, so no adapter that writes can be forgotten. A MongoDB that comes
    back counts as a write to `meta`: it may hold another log now. Create the listener on the event loop; the
    driver calls it from its threads.
    """

    def __init__(self, topics: Collection[str], changed: Callable[[str], None]) -> None:
        self._topics = frozenset(topics)
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._under_way: dict[int, str] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Remember which topic the command writes to."""
        if event.command_name in _WRITES:
            topic = event.command[event.command_name]
            if topic in self._topics:
                self._under_way[event.request_id] = topic

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Report the write."""
        self._ended(event.request_id)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Report the write: the server may have done it nevertheless."""
        self._ended(event.request_id)

    def opened(self, event: monitoring.ServerOpeningEvent) -> None:
        """Do nothing: the server's state is not known yet."""

    def description_changed(self, event: monitoring.ServerDescriptionChangedEvent) -> None:
        """Report a change of `meta` when MongoDB is there (again)."""
        before, now = event.previous_description, event.new_description
        if now.is_server_type_known and not before.is_server_type_known:
            self._tell("meta")

    def closed(self, event: monitoring.ServerClosedEvent) -> None:
        """Do nothing: this process is ending."""

    def _ended(self, request_id: int) -> None:
        topic = self._under_way.pop(request_id, None)
        if topic is not None:
            self._tell(topic)

    def _tell(self, topic: str) -> None:
        # The loop may be closed by the time the last of the driver's threads ends.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._changed, topic)
