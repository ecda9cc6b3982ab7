"""PagerDuty's own client, pointed at Tocsin."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pagerduty
import pytest

from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

KEY = "R" * 32


@pytest.fixture
def server(replica_set: ReplicaSet, database: str, tmp_path: Path) -> Iterator[TocsinServer]:
    env = {"TOCSIN_PAGERDUTY_KEYS": f"{KEY}=default"}
    with TocsinServer(tmp_path, replica_set.uri, database, env=env) as running:
        yield running


class PlainClient(pagerduty.EventsApiV2Client):
    """PagerDuty's client without its insistence on https, which a proxy would speak."""

    url = ""


def client(server: TocsinServer, key: str) -> PlainClient:
    return PlainClient(key, base_url=server.url)


def incident(server: TocsinServer) -> str:
    with client(server, KEY) as events:
        key: str = events.trigger("disk full", "db-1", severity="error", custom_details={"free": 0})
        assert events.trigger("disk full", "db-1", dedup_key=key, severity="critical") == key
        assert events.acknowledge(key) == key
        assert events.resolve(key) == key
    return key


async def test_the_pagerduty_client_takes_an_incident_from_beginning_to_end(server: TocsinServer) -> None:
    key = await asyncio.to_thread(incident, server)
    async with server.client() as http:
        events = (await http.get("/v1/events")).json()["events"]
    types = [event["type"] for event in events]
    assert types == ["alarm.raised", "alarm.updated", "alarm.acknowledged", "alarm.cleared"]
    alarm = events[-1]["alarm"]
    assert (alarm["state"], alarm["severity"], alarm["qualifier"]) == ("normal", "critical", key)
    assert KEY not in str(events)


async def test_an_unknown_key_is_told_as_the_client_expects(server: TocsinServer) -> None:
    with client(server, "S" * 32) as events, pytest.raises(pagerduty.Error) as refused:
        await asyncio.to_thread(events.resolve, "k")
    assert refused.value.response is not None
    assert refused.value.response.status_code == 400
