"""Tells the filter of known streams which the log has: at start, and after the log was replaced."""

import asyncio
import logging

from core.application.waiting import loop_time
from core.backoff import backoff
from core.errors import Unavailable
from core.host import Chance
from core.log.ports import StreamLister
from core.log.seen_streams import STREAMS, SeenStreams

logger = logging.getLogger("tocsin.commands")

LONGEST_PAUSE_SECONDS = 60.0


class StreamCensus:
    """Reads the streams of the log into `streams`, half of the time at most: commands go first.

    What the feed hands over meanwhile it does not bring; whoever takes from the feed tells the filter too.
    """

    def __init__(self, log: StreamLister, streams: SeenStreams, chance: Chance) -> None:
        self._log = log
        self._streams = streams
        self._chance = chance
        self._due = asyncio.Event()
        self._due.set()

    def repeat(self) -> None:
        """Read them again: the log was replaced, and the filter has forgotten all."""
        self._due.set()

    async def run(self) -> None:
        """Read whenever it is due; never return."""
        failures = 0
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._read()
            except Unavailable as error:
                failures += 1
                logger.warning("the log's alarms could not be counted: %s", error)
                self._due.set()
                await asyncio.sleep(backoff(failures, 1.0, LONGEST_PAUSE_SECONDS, self._chance()))
            else:
                failures = 0

    async def _read(self) -> None:
        count = 0
        async for page in self._log.streams():
            began = loop_time()
            for stream in page:
                self._streams.add(stream)
            count += len(page)
            if self._due.is_set():
                return
            if count > STREAMS:
                logger.info("the log has more than %d alarms: each new one is looked for", STREAMS)
                return
            await asyncio.sleep(loop_time() - began)
        self._streams.complete()
