"""What core.kpi.ports.KpiBuckets promises, in memory and on MongoDB."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from adapters.memory.kpis import MemoryKpiBuckets
from adapters.mongo.client import Database
from adapters.mongo.kpis import MongoKpiBuckets
from adapters.mongo.wire.held_connections import HeldConnections
from core.kpi.bucket import BUCKET, AlarmLoad, Bucket
from core.kpi.ports import KpiBuckets
from tests.kit.history import BEGINNING


def bucket(number: int = 0, position: int = 1, tenant: str = "default") -> Bucket:
    load = AlarmLoad(
        source="pump.1/$x", type="hot", annunciated={"major": position}, recent=[1], acknowledged={"4": 1}
    )
    return Bucket(
        tenant=tenant,
        start=BEGINNING + number * BUCKET,
        position=position,
        alarms={"an-id": load},
        carried={"another": [1, 2]},
    )


async def found(kept: KpiBuckets, generation: int = 0, tenant: str = "default") -> list[Bucket]:
    period = kept.period(generation, tenant, BEGINNING, BEGINNING + timedelta(days=3))
    return [each async for page in period for each in page]


class BucketsContract:
    async def test_a_bucket_is_read_as_it_was_written(self, kept: KpiBuckets) -> None:
        await kept.write(0, [bucket()])
        key = ("default", BEGINNING)
        assert await kept.load(0, [key, ("other", BEGINNING)]) == {key: bucket()}
        assert await kept.load(0, []) == {}

    async def test_an_earlier_position_does_not_replace_a_later_one(self, kept: KpiBuckets) -> None:
        await kept.write(0, [bucket(position=5), bucket(1, position=5)])
        await kept.write(0, [bucket(position=4), bucket(1, position=6), bucket(2, position=1)])
        assert [each.position for each in await found(kept)] == [5, 6, 1]

    async def test_a_period_is_of_one_tenant_and_generation_in_order(self, kept: KpiBuckets) -> None:
        many = [bucket(number) for number in range(200)]
        await kept.write(0, [*many, bucket(tenant="other")])
        await kept.write(1, [bucket(7)])
        assert await found(kept) == many
        assert await found(kept, 1) == [bucket(7)]
        part = kept.period(0, "default", BEGINNING + BUCKET, BEGINNING + 3 * BUCKET)
        assert [each async for page in part for each in page] == many[1:3]

    async def test_earlier_generations_are_dropped_and_later_ones_left_alone(self, kept: KpiBuckets) -> None:
        for generation in range(3):
            await kept.write(generation, [bucket(number) for number in range(generation + 1)])
        await kept.drop(1)
        assert [len(await found(kept, generation)) for generation in range(3)] == [0, 2, 3]
        await kept.clear(1)
        assert [len(await found(kept, generation)) for generation in range(3)] == [0, 0, 3]


class TestMemoryBuckets(BucketsContract):
    @pytest.fixture
    def kept(self) -> KpiBuckets:
        return MemoryKpiBuckets()


class TestMongoBuckets(BucketsContract):
    @pytest_asyncio.fixture
    async def kept(self, connected: Database, held: HeldConnections) -> AsyncIterator[KpiBuckets]:
        made = MongoKpiBuckets(connected, held)
        await made.create()
        yield made
