"""What core.access.ports.ApiKeys and RevocationLog promise, in memory and on MongoDB."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace

from adapters.memory.api_keys import MemoryApiKeys
from adapters.memory.revocations import MemoryRevocations
from adapters.mongo.access.api_keys import MongoApiKeys
from adapters.mongo.access.revocations import REVOCATIONS, MongoRevocations
from adapters.mongo.client import Database
from core.access.ports import ApiKey, ApiKeys, RevocationLog
from core.access.revocations import Revocation
from core.errors import Refused

AT = datetime(2026, 1, 1, 12, 30, 0, 123_000, tzinfo=UTC)
KEY = ApiKey(
    id="01",
    tenant="default",
    name="$gateway",
    roles=frozenset({"source", "viewer"}),
    digest=b"\0\1\2",
    created_at=AT,
    created_by="ann",
    expires_at=AT + timedelta(days=1),
)
ROW = Revocation(id="01", kind="subject", tenant="$default", subject="$ann", at=AT, reason="$go")


class ApiKeysContract:
    async def test_a_key_is_found_as_it_was_added(self, keys: ApiKeys) -> None:
        for key in (KEY, replace(KEY, id="02", expires_at=None)):
            await keys.add(key)
            assert await keys.find(key.id) == key
        assert await keys.find("03") is None

    async def test_a_tenant_sees_its_own_keys_the_oldest_first(self, keys: ApiKeys) -> None:
        listed = [replace(KEY, id=name, tenant=tenant) for name, tenant in ("3a", "2b", "1a")]
        for key in listed:
            await keys.add(key)
        assert [key.id for key in await keys.of_tenant("a")] == ["1", "3"]

    async def test_only_its_tenant_removes_a_key(self, keys: ApiKeys) -> None:
        await keys.add(KEY)
        await keys.remove("other", KEY.id)
        assert await keys.find(KEY.id) == KEY
        await keys.remove("default", KEY.id)
        await keys.remove("default", KEY.id)
        assert await keys.find(KEY.id) is None

    async def test_a_tenant_has_at_most_so_many_keys(
        self, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("adapters.memory.api_keys", "adapters.mongo.access.api_keys"):
            monkeypatch.setattr(f"{module}.API_KEYS", 2)
        for name in "12":
            await keys.add(replace(KEY, id=name))
        with pytest.raises(Refused, match="at most 2"):
            await keys.add(replace(KEY, id="3"))
        await keys.add(replace(KEY, id="3", tenant="other"))


class RevocationLogContract:
    async def test_a_revocation_is_read_as_it_was_added_at_the_time_of_the_store(
        self, log: RevocationLog
    ) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        await log.add(ROW)
        await log.add(replace(ROW, id="02", lasting=True))
        first, second = await log.read(None)
        assert before < first.at <= second.at < datetime.now(UTC) + timedelta(seconds=1)
        assert replace(first, at=AT) == ROW
        assert replace(second, at=AT) == replace(ROW, id="02", lasting=True)

    async def test_revocations_are_read_from_a_time_on(self, log: RevocationLog) -> None:
        await log.add(ROW)
        (row,) = await log.read(None)
        assert [each.id for each in await log.read(row.at)] == ["01"]
        assert list(await log.read(row.at + timedelta(milliseconds=1))) == []


class TestMemoryApiKeys(ApiKeysContract):
    @pytest.fixture
    def keys(self) -> MemoryApiKeys:
        return MemoryApiKeys()


class TestMongoApiKeys(ApiKeysContract):
    @pytest_asyncio.fixture
    async def keys(self, connected: Database) -> AsyncIterator[MongoApiKeys]:
        keys = MongoApiKeys(connected)
        await keys.create()
        yield keys


class TestMemoryRevocations(RevocationLogContract):
    @pytest.fixture
    def log(self) -> MemoryRevocations:
        return MemoryRevocations()


class TestMongoRevocations(RevocationLogContract):
    @pytest_asyncio.fixture
    async def log(self, connected: Database) -> AsyncIterator[MongoRevocations]:
        log = MongoRevocations(connected)
        await log.create()
        yield log

    async def test_revocations_that_need_not_last_end_and_the_newest_lasting_one_stays(
        self, log: MongoRevocations, connected: Database
    ) -> None:
        await log.add(ROW)
        for name in ("02", "03"):
            await log.add(replace(ROW, id=name, lasting=True))
        rows = {row["_id"]: row for row in await connected[REVOCATIONS].find().to_list(None)}
        assert {name: "expires_at" in row for name, row in rows.items()} == {"01": True, "03": False}
        index = (await connected[REVOCATIONS].index_information())["expires_at"]
        assert index["expireAfterSeconds"] == 0
