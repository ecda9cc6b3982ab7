"""The three doorbells, each on the servers that it is for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.log.doorbell_suite import DoorbellContract, SharedDoorbellContract, Start
from tests.kit.members import member
from tests.kit.mongods import Mongod
from tests.kit.redis import RedisServer
from tests.kit.replicasets import ReplicaSet


class TestChangeStreamDoorbell(SharedDoorbellContract):
    @pytest.fixture
    def mongod(self, replica_set: ReplicaSet) -> Mongod:
        return replica_set.nodes[0]

    @pytest.fixture
    def uri(self, replica_set: ReplicaSet) -> str:
        return replica_set.uri

    @pytest.fixture
    def start(self, uri: str, database: str) -> Start:
        return lambda: member(uri, database, "changestream")


class TestLocalDoorbell(DoorbellContract):
    @pytest.fixture
    def mongod(self, standalone: Mongod) -> Mongod:
        return standalone

    @pytest.fixture
    def start(self, standalone: Mongod, database: str) -> Start:
        return lambda: member(standalone.uri, database, "local")


class TestRedisDoorbell(SharedDoorbellContract):
    @pytest.fixture
    def redis(self, tmp_path: Path) -> Iterator[RedisServer]:
        with RedisServer(tmp_path) as server:
            yield server

    @pytest.fixture
    def mongod(self, standalone: Mongod) -> Mongod:
        return standalone

    @pytest.fixture
    def uri(self, standalone: Mongod) -> str:
        return standalone.uri

    @pytest.fixture
    def start(self, uri: str, database: str, redis: RedisServer) -> Start:
        return lambda: member(uri, database, "redis", redis.url)
