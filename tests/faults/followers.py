"""Clients that record what they are sent, and go on where they were after whatever happens to them."""

import asyncio
import random
from collections.abc import Mapping, Sequence

from websockets.exceptions import WebSocketException

from core.errors import StartupRefused, Unavailable
from entrypoints.process.compose import feeding
from entrypoints.process.settings import FeedChoice, Settings
from entrypoints.process.storage import storage
from tests.faults.checker import Client
from tests.kit.clients import StreamClient, streaming
from tests.kit.servers import TocsinServer

SILENCE_SECONDS = 3.0
"""After so long without a message a client looks for another server: its own may be paused."""
AGAIN_SECONDS = 0.2


async def follow_feed(
    uri: str, database: str, client: Client, feed_choice: FeedChoice = "auto", redis_url: str | None = None
) -> None:
    """Record what the feed of a process of its own passes on, for ever."""
    settings = Settings(mongodb_uri=uri, database=database, feed=feed_choice, redis_url=redis_url)
    while True:
        try:
            async with storage(settings) as store, feeding(store) as feed:
                async for events in feed.follow(client.until):
                    client.seen += [(event.position, event.event_id) for event in events]
                    client.until = events[-1].position
        except (Unavailable, StartupRefused):
            # A process that starts while MongoDB is away refuses to.
            await asyncio.sleep(AGAIN_SECONDS)


async def follow_stream(
    servers: Sequence[TocsinServer],
    client: Client,
    seed: int,
    credentials: Mapping[str, str] | None = None,
    silence: float = SILENCE_SECONDS,
) -> None:
    """Record what the WebSocket of one server or another sends, for ever.

    `credentials` say who asks; after `silence` seconds without a message another server is tried.
    """
    chance = random.Random(seed)
    subscription = {"filter": {"sources": sorted(client.sources)}} if client.sources else {}
    log: str | None = None
    while True:
        server = chance.choice(servers)
        try:
            async with (
                asyncio.timeout(None) as patience,
                streaming(server.ws_url, client.until, log, credentials, **subscription) as connection,
            ):
                log = connection.log
                while True:
                    patience.reschedule(asyncio.get_running_loop().time() + silence)
                    await _take(connection, client)
        except (OSError, WebSocketException, TimeoutError):
            await asyncio.sleep(AGAIN_SECONDS)


async def _take(connection: StreamClient, client: Client) -> None:
    message = await connection.receive()
    if message["op"] in ("reset", "error"):
        raise AssertionError(f"{client.name} was sent {message}")
    if message["op"] == "events":
        client.seen += [(event["position"], event["event_id"]) for event in message["events"]]
    client.until = max(client.until, message.get("position", 0))
