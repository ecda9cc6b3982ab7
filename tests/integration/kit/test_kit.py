"""The kit does what the other tests rely on: real mongods, Alertmanager, Prometheus and redis."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo.errors import OperationFailure

from tests.kit.alerts import Alertmanager, Prometheus
from tests.kit.mongods import Mongod, find_mongod
from tests.kit.redis import RedisServer
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.waiting import wait_until
from tests.kit.web import Exporter, Webhook
from tests.kit.wire import ask


def insert(
    node: Mongod, database: str, number: int, concern: int | str = "majority", wtimeout: int = 10_000
) -> None:
    command = {
        "insert": "things",
        "documents": [{"_id": number}],
        "writeConcern": {"w": concern, "wtimeout": wtimeout},
    }
    node.ask(command, database=database, seconds=15)


def count(node: Mongod, database: str) -> int:
    # With a query: without one the answer is kept beside the data, and may be wrong after a kill.
    query = {"_id": {"$gte": 0}}
    command = {"count": "things", "query": query, "$readPreference": {"mode": "secondaryPreferred"}}
    return int(node.ask(command, database=database)["n"])


@pytest.mark.faults
def test_another_primary_is_elected_when_the_primary_is_killed(
    three_nodes: ReplicaSet, database: str
) -> None:
    old = three_nodes.primary()
    insert(old, database, 1)
    old.kill()
    new = three_nodes.primary(but=[old])
    assert count(new, database) == 1
    insert(new, database, 2)
    three_nodes.heal()
    assert count(old, database) == 2


@pytest.mark.faults
def test_a_paused_primary_is_replaced_and_wakes_up_as_a_secondary(three_nodes: ReplicaSet) -> None:
    old = three_nodes.primary()
    old.pause()
    assert old.alive
    assert old.process.paused
    assert old.hello() is None
    new = three_nodes.primary(but=[old])
    old.wake()
    wait_until(
        "the old primary follows the new one", lambda: (old.hello() or {}).get("primary") == new.address
    )


@pytest.mark.faults
def test_with_replication_stopped_a_write_is_lost_with_the_primary(
    three_nodes: ReplicaSet, database: str
) -> None:
    old = three_nodes.primary()
    insert(old, database, 1)
    three_nodes.stop_replication()
    insert(old, database, 2, concern=1)
    with pytest.raises(OperationFailure, match="waiting for replication timed out"):
        insert(old, database, 3, wtimeout=300)
    assert count(old, database) == 3
    old.kill()
    new = three_nodes.primary(but=[old])
    three_nodes.heal()
    assert count(new, database) == 1
    assert count(old, database) == 1


@pytest.mark.faults
def test_replication_goes_on_when_it_is_released(three_nodes: ReplicaSet, database: str) -> None:
    three_nodes.stop_replication()
    insert(three_nodes.primary(), database, 1, concern=1)
    three_nodes.release_replication()
    insert(three_nodes.primary(), database, 2)


@pytest.mark.faults
def test_a_primary_that_steps_down_is_replaced(three_nodes: ReplicaSet) -> None:
    old = three_nodes.step_down()
    assert three_nodes.primary() is not old


def test_a_node_that_was_killed_is_healed_with_its_data(replica_set: ReplicaSet, database: str) -> None:
    insert(replica_set.primary(), database, 1)
    replica_set.nodes[0].kill()
    assert replica_set.nodes[0].process.returncode == -signal.SIGKILL
    replica_set.heal()
    assert count(replica_set.primary(), database) == 1


def test_a_standalone_is_in_no_replica_set(standalone: Mongod, database: str) -> None:
    insert(standalone, database, 1, concern=1)
    assert "setName" not in (standalone.hello() or {})


class TestDatabaseIsDropped:
    used: str

    def test_a_test_has_a_database_of_its_own(self, replica_set: ReplicaSet, database: str) -> None:
        insert(replica_set.primary(), database, 1)
        type(self).used = database

    def test_the_database_of_the_test_before_is_gone(self, replica_set: ReplicaSet, database: str) -> None:
        assert self.used != database
        listed = replica_set.primary().ask({"listDatabases": 1, "nameOnly": True})["databases"]
        assert self.used not in [entry["name"] for entry in listed]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


def test_alertmanager_posts_what_fires_and_what_is_resolved(tmp_path: Path, webhook: Webhook) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    labels = {"alertname": "Pressure", "instance": "boiler-7"}
    with Alertmanager(tmp_path, webhook.url) as alertmanager:
        alertmanager.post(labels, annotations={"summary": "12.4 bar"}, starts_at=began)
        (fired,) = webhook.wait_for(1)
        alertmanager.post(labels, starts_at=began, ends_at=datetime.now(UTC))
        (_, resolved) = webhook.wait_for(2)
    assert fired["version"] == "4"
    assert [alert["status"] for alert in fired["alerts"] + resolved["alerts"]] == ["firing", "resolved"]
    assert fired["alerts"][0]["labels"] == labels
    assert fired["alerts"][0]["annotations"] == {"summary": "12.4 bar"}


def test_alertmanager_tries_again_when_the_webhook_fails(tmp_path: Path, webhook: Webhook) -> None:
    webhook.status = webhook.status.SERVICE_UNAVAILABLE
    with Alertmanager(tmp_path, webhook.url) as alertmanager:
        alertmanager.post({"alertname": "Pressure"})
        webhook.wait_for(1)
        webhook.status = webhook.status.OK
        (first, second) = webhook.wait_for(2)
    assert first == second


def test_prometheus_fires_while_the_gauge_is_not_zero(tmp_path: Path, webhook: Webhook) -> None:
    with (
        Exporter() as exporter,
        Alertmanager(tmp_path / "alertmanager", webhook.url) as alertmanager,
        Prometheus(tmp_path / "prometheus", exporter, alertmanager, alertname="Pressure"),
    ):
        exporter.value = 12.4
        (fired,) = webhook.wait_for(1)
        exporter.value = 0
        (_, resolved) = webhook.wait_for(2)
    assert fired["status"] == "firing"
    assert fired["commonLabels"]["alertname"] == "Pressure"
    assert fired["commonAnnotations"]["summary"] == "the gauge of the test is 12.4"
    assert resolved["status"] == "resolved"


def test_redis_is_killed_and_comes_back_on_the_same_port(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        port = redis.port
        redis.kill()
        assert not redis.alive
        redis.start()
        assert redis.port == port
        redis.restart()


def test_a_server_is_killed_and_comes_back_on_the_same_port(
    tmp_path: Path, mongodb_uri: str, database: str
) -> None:
    with TocsinServer(tmp_path, mongodb_uri, database) as server:
        server.kill()
        server.start()
        assert server.terminate() == 0


def test_the_mongod_to_test_with_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_MONGOD", "/bin/sh")
    assert find_mongod() == Path("/bin/sh")
    monkeypatch.setenv("TOCSIN_MONGOD", "/nowhere/mongod")
    assert find_mongod() is None


def test_a_silent_node_is_not_waited_for_longer_than_asked(standalone: Mongod) -> None:
    standalone.pause()
    with pytest.raises(TimeoutError):
        ask(standalone.port, {"ping": 1}, seconds=0.1)
