"""Attacks by bodies within the bounds that take long to read: very many small things, ids of a megabyte."""

import asyncio

from tests.kit.attackers.crowd import Crowd
from tests.kit.attackers.target import Target

BULK_BYTES = 1_000_000
PAGERDUTY_BYTES = 500_000


async def send_many_alerts(target: Target, seconds: float, alerts: int = 400_000) -> None:
    """Post one Alertmanager body of very many small alerts."""
    each = ",".join(
        '{"status":"firing","labels":{"instance":"%d"}}' % number  # noqa: UP031 (braces)
        for number in range(alerts)
    )
    body = f'{{"version":"4","groupKey":"g","status":"firing","receiver":"r","alerts":[{each}]}}'
    await _post(target, "/v1/ingest/alertmanager", body.encode(), seconds, 1)


async def send_many_elements(target: Target, seconds: float, count: int = 20) -> None:
    """Post arrays of commands that are nothing but very many small elements."""
    body = b"[" + b",".join([b"1"] * (BULK_BYTES // 2)) + b"]"
    await _post(target, "/v1/commands", body, seconds, count)


async def send_many_details(target: Target, seconds: float, count: int = 20) -> None:
    """Post PagerDuty events with very many small details."""
    links = ",".join(["{}"] * (PAGERDUTY_BYTES // 6))
    details = ",".join(["[]"] * (PAGERDUTY_BYTES // 6))
    body = (
        '{"routing_key":"nobody","event_action":"trigger","payload":{"summary":"s","source":"s",'
        f'"severity":"info","custom_details":{{"a":[{details}]}}}},"links":[{links}]}}'
    )
    await _post(target, "/v2/enqueue", body.encode(), seconds, count)


async def send_large_ids(target: Target, seconds: float, count: int = 40) -> None:
    """Post commands on alarms whose ids are a megabyte."""

    def body(number: int) -> bytes:
        alarm_id = f"{number:04d}" + "x" * BULK_BYTES
        return f'[{{"command":"acknowledge","alarm_id":"{alarm_id}","revision":1}}]'.encode()

    await asyncio.gather(
        *(_post(target, "/v1/commands", body(number), seconds, 1) for number in range(count))
    )


async def _post(target: Target, path: str, body: bytes, seconds: float, count: int) -> None:
    """Send the request by so many connections at once, and wait for the answers' first bytes."""
    request = target.post(path, body)

    async def post() -> None:
        member = await crowd.join()
        if await crowd.say(member, request, seconds):
            await crowd.hear(member, seconds)

    async with Crowd(target) as crowd:
        await asyncio.gather(*(post() for _ in range(count)))
