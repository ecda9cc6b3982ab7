"""A burst of alarms at several servers, which goes on at the others when one is killed or drained."""

import asyncio
from collections.abc import Callable, Sequence

import httpx

from tests.kit.servers import TocsinServer

CLIENTS = 8
BURST = 300


def raising(number: int) -> dict[str, str]:
    """Return the report of an alarm that no other number has."""
    return {"source": f"pump-{number}", "type": "hot", "severity": "major"}


async def burst(servers: Sequence[TocsinServer], half_way: Callable[[], object]) -> list[int]:
    """Raise alarms at all servers and do something half-way; return the positions that were acknowledged.

    `half_way` may block: it is called in a thread of its own.
    """
    answered: list[int] = []
    numbers = iter(range(BURST))
    fault: asyncio.Future[object] | None = None

    async def send(http: httpx.AsyncClient) -> None:
        nonlocal fault
        for number in numbers:
            # Without an answer it may be in the log all the same.
            answer = await http.post("/v1/alarms", json=raising(number))
            assert answer.is_success or answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
            if answer.is_success:
                answered.append(answer.json()["position"])
            if fault is None and len(answered) >= BURST // 2:
                fault = asyncio.ensure_future(asyncio.to_thread(half_way))

    async def client(server: TocsinServer) -> None:
        async with server.client() as http:
            await send(http)

    sending = [client(server) for server in servers for _ in range(CLIENTS)]
    results = await asyncio.gather(*sending, return_exceptions=True)
    assert all(isinstance(result, httpx.TransportError | None) for result in results), results
    assert fault is not None, "the fault did not fire"
    await fault
    assert len(answered) > BURST // 2, "nothing was acknowledged after the fault"
    return answered
