"""Receivers that answer with anything but what they should: the process lives, and others get theirs."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from tests.kit.receiver import HELL, Behaviour, receiving
from tests.kit.servers import TocsinServer

ALARMS = 5


def _always(behaviour: Behaviour, _: int) -> Behaviour:
    return behaviour


async def test_no_answer_of_a_receiver_ends_a_process(
    mongodb_uri: str, database: str, tmp_path: Path
) -> None:
    server = TocsinServer(tmp_path, mongodb_uri, database, options=["--webhook-allow", "127.0.0.0/8"])
    async with AsyncExitStack() as stack:
        hell = [await stack.enter_async_context(receiving(partial(_always, behaviour))) for behaviour in HELL]
        healthy = await stack.enter_async_context(receiving())
        stack.enter_context(server)
        client = await stack.enter_async_context(server.client())
        for receiver in (*hell, healthy):
            assert (await client.post("/v1/webhooks", json={"url": receiver.url})).status_code == 201
        for number in range(ALARMS):
            body = {"source": f"line/{number}", "type": "pressure", "severity": "major"}
            assert (await client.post("/v1/alarms", json=body)).status_code == 201
        await healthy.until("all alarms", healthy.had(ALARMS))
        for receiver in hell:
            await receiver.until("a call", receiver.had(1))
        # What the rows keep of these answers must not end the next process either.
        body = {"source": "line/late", "type": "pressure", "severity": "major"}
        assert (await client.post("/v1/alarms", json=body)).status_code == 201
        await healthy.until("the next alarm", healthy.had(ALARMS + 1))
        await asyncio.to_thread(server.terminate)
        await asyncio.to_thread(server.start)
        await client.post("/v1/alarms", json={**body, "source": "line/after"})
        await healthy.until("an alarm after the restart", healthy.had(ALARMS + 2))
        assert (await client.get("/readyz")).status_code == 200
    assert "Traceback" not in (tmp_path / f"tocsin-{server.port}.log").read_text()
