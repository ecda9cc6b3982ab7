"""The worker tasks are spread over the processes, and taken over from one that is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.memory.leases import MemoryLeases
from adapters.memory.presence import MemoryPresence
from adapters.mongo.client import Database
from adapters.mongo.coordination.leases import MongoLeases
from adapters.mongo.coordination.presence import MongoPresence
from core.application.workers import balancing
from core.application.workers.balancing import Balancing
from core.application.workers.leader import LeaderTask
from core.coordination.ports import Lease, Leases, Presence
from tests.kit.hosts import HOST, candidate

TASKS = 4
SECONDS = 20


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancing, "LOOK_SECONDS", 0.1)


async def work(_: Lease) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def process(leases: Leases, presence: Presence, name: str) -> AsyncIterator[list[LeaderTask]]:
    tasks = [LeaderTask(candidate(leases, name), f"task {number}", work) for number in range(TASKS)]
    running = [asyncio.create_task(each.run()) for each in tasks]
    running.append(asyncio.create_task(Balancing(presence, name, tasks, HOST.chance).run()))
    try:
        yield tasks
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def shares(processes: list[list[LeaderTask]], wanted: list[int]) -> None:
    """Wait until each process leads so many."""
    async with asyncio.timeout(SECONDS):
        while [sum(task.leading for task in tasks) for tasks in processes] != wanted:
            await asyncio.sleep(0.02)


async def test_a_second_process_gets_its_share_and_gives_it_back(connected: Database) -> None:
    leases, presence = MongoLeases(connected), MongoPresence(connected)
    async with process(leases, presence, "a") as first:
        await shares([first], [TASKS])
        async with process(leases, presence, "b") as second:
            await shares([first, second], [2, 2])
        await shares([first], [TASKS])


async def test_one_more_than_another_leads_is_no_reason_to_let_go() -> None:
    leases, presence = MemoryLeases(), MemoryPresence()
    await presence.announce("killed a moment ago", TASKS - 1, 60)
    async with process(leases, presence, "a") as first:
        await shares([first], [TASKS])
        looks = Balancing(presence, "a", first, HOST.chance)
        for _ in range(5):
            await looks.look()
        assert all(task.leading for task in first)


async def test_one_process_alone_keeps_all(connected: Database) -> None:
    async with process(MongoLeases(connected), MemoryPresence(), "a") as first:
        await shares([first], [TASKS])
        looks = Balancing(MemoryPresence(), "a", first, HOST.chance)
        for _ in range(5):
            await looks.look()
        assert all(task.leading for task in first)
