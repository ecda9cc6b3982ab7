"""Who keeps losing asks to go first; who has waited for less holds back until it did, for a bounded time."""

import asyncio
from collections.abc import Callable

import pytest

from adapters.mongo.client import Database
from adapters.mongo.log.turn_requests import MongoTurnRequests
from core.application.bells import Bells
from core.application.courtesy import HOLD_BACK_SECONDS, PATIENCE_SECONDS, Courtesy
from core.application.ports import TURNS
from tests.kit.appending import appended, first_raise
from tests.kit.history import History
from tests.kit.hosts import HOST
from tests.kit.mongologs import WritableLog

PATIENT, IMPATIENT, OLDEST = PATIENCE_SECONDS / 2, 1.0, 2.0
SECONDS = 20.0

Make = Callable[[float], Courtesy]


@pytest.fixture
def waiting_for(connected: Database) -> Make:
    requests = MongoTurnRequests(connected)
    return lambda seconds: Courtesy(requests, HOST.ids.new(), lambda: seconds)


async def asked(database: Database) -> int:
    """Wait until somebody has asked; return how often anybody has."""
    async with asyncio.timeout(SECONDS):
        while (request := await database[TURNS].find_one()) is None:
            await asyncio.sleep(0.01)
    return int(request["asked"])


async def held(courtesy: Courtesy) -> float:
    """Return for how many seconds it holds back."""
    now = asyncio.get_running_loop().time
    began = now()
    async with asyncio.timeout(SECONDS):
        await courtesy.wait()
    return now() - began


async def test_who_has_waited_for_less_holds_back_for_a_bounded_time(
    connected: Database, waiting_for: Make
) -> None:
    asking, other = waiting_for(IMPATIENT), waiting_for(0.0)
    asking.lost("event", SECONDS)
    await asked(connected)
    await other.read_request()
    assert await held(other) >= HOLD_BACK_SECONDS[1] * 0.9
    # One request, one time.
    await other.read_request()
    assert await held(other) < HOLD_BACK_SECONDS[0]


async def test_who_holds_back_goes_on_as_soon_as_that_event_landed(
    connected: Database, waiting_for: Make
) -> None:
    history = History()
    history.raised("pump")
    asking, other = waiting_for(IMPATIENT), waiting_for(0.0)
    asking.lost(history.events[0].event_id, SECONDS)
    await asked(connected)
    await other.read_request()
    other.landed(history.events)
    assert await held(other) < HOLD_BACK_SECONDS[0]


@pytest.mark.parametrize("waited", [IMPATIENT, OLDEST])
async def test_who_has_waited_as_long_holds_back_for_nobody(
    connected: Database, waiting_for: Make, waited: float
) -> None:
    asking, other = waiting_for(IMPATIENT), waiting_for(waited)
    asking.lost("event", SECONDS)
    await asked(connected)
    for each in (asking, other):
        await each.read_request()
        assert await held(each) < HOLD_BACK_SECONDS[0]


async def test_nobody_asks_too_early_or_too_often(connected: Database, waiting_for: Make) -> None:
    patient, impatient = waiting_for(PATIENT), waiting_for(IMPATIENT)
    for _ in range(5):
        patient.lost("early", 0.01)
        impatient.lost("event", 0.01)
    assert await asked(connected) == 1
    request = await connected[TURNS].find_one()
    assert request is not None
    assert request["event_id"] == "event"


async def test_a_request_that_is_made_up_costs_a_moment_and_no_position(connected: Database) -> None:
    log = WritableLog(connected)
    await log.create()
    made_up = {"asked": 1, "by": "nobody", "event_id": "none", "waited": 1e9, "seconds": 1e9}
    await connected[TURNS].insert_one({"_id": "append", **made_up})
    async with log.running():
        heeding = asyncio.create_task(log.hold_back_on_request(Bells().of))
        events = await appended(log, 3)
        heeding.cancel()
        last = await log.append(*first_raise())
    assert [event.position for event in [*events, last]] == [1, 2, 3, 4]
