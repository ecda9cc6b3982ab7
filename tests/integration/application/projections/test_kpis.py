"""The key figures on a real log: kept up, built anew while they are read, and asked what if."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO

import httpx
import pytest
import pytest_asyncio
from rich.console import Console

from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.kpis import MemoryKpiBuckets
from adapters.memory.log import MemoryLog
from adapters.mongo.alarms.history import MongoAlarmHistory
from adapters.mongo.client import Database
from adapters.mongo.codec import event_document
from adapters.mongo.log.log import MongoLog
from adapters.mongo.log.store import EVENTS
from core.application.projections.alarms import AlarmModel
from core.application.projections.kpis import PACE_ALARMS, PACE_SECONDS, PROJECTION, KpiModel
from core.application.replay.alarms import replay_alarms
from core.application.replay.checking import check_alarms
from core.application.replay.kpis import replay_kpis
from core.application.replay.whatif import DatedLog, compared
from core.coordination.ports import NO_CHECKPOINT
from core.errors import InvalidInput, StartupRefused
from core.kpi.bucket import Bucket
from core.kpi.rules import Rules
from entrypoints.cli.whatif import severities_of, show_whatif
from entrypoints.http.app import create_app
from entrypoints.http.state import AppState
from entrypoints.process.compose import Process, running
from entrypoints.process.settings import Settings
from entrypoints.process.storage import Storage, storage
from tests.kit.history import BEGINNING, Shift
from tests.kit.mongods import Mongod

SECONDS = 20
HOUR = timedelta(hours=1)


def flood() -> Shift:
    """Two pumps that chatter, and one that is acknowledged, within an hour."""
    made = Shift()
    for _ in range(20):
        for source in ("line/pump-1", "line/pump-2"):
            made.raised(source, "minor")
            made.wait(6)
            made.cleared(source)
            made.wait(6)
    made.raised("tank", "critical")
    made.wait(30)
    made.acknowledged("tank")
    return made


@pytest_asyncio.fixture
async def store(mongodb_uri: str, database: str) -> AsyncIterator[Storage]:
    async with storage(Settings(mongodb_uri=mongodb_uri, database=database)) as made:
        yield made


@pytest_asyncio.fixture
async def log(connected: Database) -> DatedLog:
    return DatedLog(MongoLog(connected), MongoAlarmHistory(connected))


@asynccontextmanager
async def serving(store: Storage) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    async with running(store) as process:
        transport = httpx.ASGITransport(create_app(AppState(services=process.services)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield process, client


async def plant(connected: Database, made: Shift, after: int = 0) -> None:
    await connected[EVENTS].insert_many([event_document(event) for event in made.events[after:]])


async def reached(store: Storage, position: int) -> None:
    async with asyncio.timeout(SECONDS):
        while (await store.checkpoints.load(PROJECTION)).position < position:
            await asyncio.sleep(0.02)


async def kept(store: Storage) -> list[Bucket]:
    generation = (await store.checkpoints.load(PROJECTION)).generation
    period = store.kpis.period(generation, "default", BEGINNING, BEGINNING + 24 * HOUR)
    return [bucket async for page in period for bucket in page]


async def test_the_figures_of_a_period_are_answered_over_http(store: Storage, connected: Database) -> None:
    made = flood()
    await plant(connected, made)
    async with serving(store) as (_, http):
        await reached(store, len(made.events))
        await http.get("/v1/alarms", params={"min_position": len(made.events)})
        period = {"from": BEGINNING.isoformat(), "to": (BEGINNING + HOUR).isoformat()}
        answer = await http.get("/v1/stats", params=period)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["position"], found["kpi_position"]) == (len(made.events), len(made.events))
        assert [each["raised"] for each in found["series"]] == [41, 0, 0, 0, 0, 0]
        assert {each["source"]: each["raised"] for each in found["top_sources"]} == {
            "line/pump-1": 20,
            "line/pump-2": 20,
            "tank": 1,
        }
        assert [each["count"] for each in found["fleeting"]] == [20, 20]
        assert {each["source"] for each in found["chattering"]} == {"line/pump-1", "line/pump-2"}
        assert found["acknowledge_seconds"]["count"] == 1
        assert found["current"]["by_state"] == {"acked": 1, "rtn_unacked": 2}
        assert (found["current"]["total"], found["current"]["unacked"], found["current"]["active"]) == (
            3,
            2,
            1,
        )
        assert [each["source"] for each in found["stale"]] == ["tank"]
        of_tank = (await http.get("/v1/stats", params=period | {"source": "tank"})).json()
        assert sum(each["raised"] for each in of_tank["series"]) == 1
        assert of_tank["current"]["total"] == 1
        of_line = (await http.get("/v1/stats", params=period | {"source": "line/*"})).json()
        assert sum(each["raised"] for each in of_line["series"]) == 40
        ready = (await http.get("/readyz")).json()
        assert {lag["projection"]: lag["positions"] for lag in ready["lags"]} == {
            "feed": 0,
            "alarms": 0,
            "kpis": 0,
        }


@pytest.mark.parametrize(
    "period",
    [
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
        {"from": "yesterday"},
        {"to": "0001-01-01T00:00:00Z"},
        {"to": "253402300800"},
        {"to": "1.5"},
        {"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:59:59Z"},
        {"since": "2026-01-01T00:00:00Z"},
        {"to": "2026-01-01T00:00:00"},
    ],
)
async def test_a_period_that_makes_no_sense_is_refused(store: Storage, period: dict[str, str]) -> None:
    async with serving(store) as (_, http):
        answer = await http.get("/v1/stats", params=period)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_rebuild_counts_the_same_while_the_log_grows(store: Storage, connected: Database) -> None:
    made = flood()
    await plant(connected, made)
    async with serving(store) as (process, _):
        await reached(store, len(made.events))
        before, more = await kept(store), len(made.events)

        model = KpiModel(store.kpis, store.checkpoints)

        def grow(_what: str, _done: int, _total: int) -> None:
            if len(made.events) == more:
                made.wait(60)
                made.raised("tank 2")
                # A process that begins to lead meanwhile.
                settling.append(asyncio.create_task(model.settle()))

        settling: list[asyncio.Task[None]] = []
        assert await replay_kpis(store.log, model, store.leases, "a", grow) == more
        await asyncio.gather(*settling)
        assert await kept(store) == before
        assert (await store.checkpoints.load(PROJECTION)).generation == 1
        await plant(connected, made, more)
        process.feed.hear(len(made.events))
        await reached(store, len(made.events))
        assert sum(load.count for bucket in await kept(store) for load in bucket.alarms.values()) == 42
        # The leader has cleared away the generation that nobody reads any more.
        assert await connected["kpi_buckets"].distinct("generation") == [1]


async def test_two_rebuilds_at_once_are_refused(store: Storage, connected: Database) -> None:
    await plant(connected, flood())
    model, second = KpiModel(store.kpis, store.checkpoints), list[asyncio.Task[int]]()

    def start_another(_what: str, _done: int, _total: int) -> None:
        if not second:
            second.append(asyncio.create_task(replay_kpis(store.log, model, store.leases, "b")))

    await replay_kpis(store.log, model, store.leases, "a", start_another)
    with pytest.raises(StartupRefused, match="another replay"):
        await second[0]


async def test_figures_of_another_log_are_counted_anew(store: Storage, connected: Database) -> None:
    made = flood()
    await plant(connected, made)
    lease = await store.leases.acquire("kpi projector", "old", 60.0)
    assert lease is not None
    forged = NO_CHECKPOINT.__class__(len(made.events), "an event of another log", 0)
    assert await store.checkpoints.advance(PROJECTION, lease, forged)
    await store.kpis.write(0, [Bucket(tenant="default", start=BEGINNING + 5 * HOUR, position=9)])
    await store.leases.release(lease)
    async with serving(store):
        async with asyncio.timeout(SECONDS):
            while (await store.checkpoints.load(PROJECTION)).generation == 0:
                await asyncio.sleep(0.02)
        await reached(store, len(made.events))
        assert [sum(load.count for load in each.alarms.values()) for each in await kept(store)] == [41]


async def test_figures_and_rebuilds_are_the_same_on_a_standalone(standalone: Mongod, database: str) -> None:
    made = flood()
    async with storage(Settings(mongodb_uri=standalone.uri, database=database)) as store:
        await plant(store.connection, made)
        async with serving(store) as (process, http):
            process.feed.hear(len(made.events))
            await reached(store, len(made.events))
            raised = await http.post(
                "/v1/alarms", json={"source": "tank 2", "type": "pressure", "severity": "minor"}
            )
            position = raised.json()["position"]
            before = (await http.get("/v1/alarms", params={"min_position": position})).json()["alarms"]
            model = AlarmModel(store.alarms, store.checkpoints, store.rebuild)
            for newest in (False, True):
                await replay_alarms(store.log, model, store.leases, "a", newest=newest)
                assert [each async for each in check_alarms(store.log, model)] == []
            await replay_kpis(store.log, KpiModel(store.kpis, store.checkpoints), store.leases, "a")
            assert (await http.get("/v1/alarms")).json()["alarms"] == before
            found = (await http.get("/v1/stats")).json()
            assert sum(each["raised"] for each in found["series"]) == 1
            assert found["current"]["total"] == 4


async def test_what_if_shows_both_and_writes_nothing(
    store: Storage, log: DatedLog, connected: Database, mongodb_uri: str, database: str
) -> None:
    made = flood()
    await plant(store.connection, made)
    names = sorted(await connected.list_collection_names())
    before = {name: await connected[name].find().to_list(None) for name in names}
    rules = Rules(on_delay=10, severities=severities_of(["pressure=warning"]))
    found = await compared(log, "default", BEGINNING, BEGINNING + HOUR, rules)
    assert (sum(found.before.series), sum(found.after.series)) == (41, 1)
    assert [each.severity for each in found.after.priorities if each.count] == ["warning"]
    assert found.after.fleeting == []
    shelved = await compared(
        log, "default", BEGINNING, BEGINNING + HOUR, Rules(shelved=frozenset({"line/*"}))
    )
    assert sum(shelved.after.series) == 1
    written = StringIO()
    out = Console(file=written, width=120)
    settings, period = Settings(mongodb_uri=mongodb_uri, database=database), (BEGINNING, BEGINNING + HOUR)
    await show_whatif(settings, "default", period, rules, out, as_json=False)
    assert "Alarms per hour, on average" in written.getvalue()
    written.truncate(0)
    written.seek(0)
    await show_whatif(settings, "default", period, rules, out, as_json=True)
    assert sum(json.loads(written.getvalue())["after"]["series"]) == 1
    assert sorted(await connected.list_collection_names()) == names
    assert {name: await connected[name].find().to_list(None) for name in names} == before


async def test_what_if_refuses_what_it_cannot_do(log: DatedLog) -> None:
    with pytest.raises(InvalidInput, match="at most 31 days"):
        await compared(log, "default", BEGINNING, BEGINNING + 24 * 60 * HOUR, Rules())
    assert (await compared(log, "default", BEGINNING, BEGINNING + HOUR, Rules())).before.complete
    for rules in (Rules(on_delay=float("inf")), Rules(off_delay=float("nan")), Rules(deadband=1e300)):
        with pytest.raises(InvalidInput, match="delays"):
            await compared(log, "default", BEGINNING, BEGINNING + HOUR, rules)
    early = datetime(1, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidInput, match="calendar"):
        await compared(log, "default", early, early + HOUR, Rules())
    with pytest.raises(StartupRefused, match="TYPE=SEVERITY"):
        severities_of(["pressure=loud"])


async def test_the_more_alarms_a_batch_changed_the_longer_the_next_one_waits() -> None:
    made, model = Shift(), KpiModel(MemoryKpiBuckets(), MemoryCheckpoints())
    assert await model.store() == PACE_SECONDS
    for number in range(2 * PACE_ALARMS):
        made.raised(f"pump-{number}")
    await model.take(MemoryLog("log"), made.events, 0)
    assert await model.store() == 3 * PACE_SECONDS
