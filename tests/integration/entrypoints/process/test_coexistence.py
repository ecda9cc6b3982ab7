"""Which processes may run beside each other, by the doorbell between them."""

import pytest

from adapters.memory.leases import MemoryLeases
from adapters.mongo.checks import DoorbellKind
from core.application.background import Background
from core.application.workers.single_process import PROCESS_LEASE
from core.errors import StartupRefused
from entrypoints.process.coexistence import SHARED_HOLDER, alone, check_hears_others
from entrypoints.process.host import holder
from entrypoints.process.settings import ProcessRole

BACKGROUND = Background(lambda: 0.0)


async def may_hold(leases: MemoryLeases, name: str) -> bool:
    return await leases.acquire(PROCESS_LEASE, name, 60.0) is not None


async def test_processes_on_a_replica_set_keep_nobody_out() -> None:
    leases = MemoryLeases()
    async with alone("changestream", leases, BACKGROUND, "worker"):
        assert await may_hold(leases, "another")


async def test_a_process_that_no_other_hears_is_alone_until_it_ends() -> None:
    leases = MemoryLeases()
    async with alone("local", leases, BACKGROUND):
        assert not await may_hold(leases, SHARED_HOLDER)
        assert await may_hold(leases, holder())
    assert await may_hold(leases, "another")


async def test_processes_on_redis_keep_out_all_others_even_after_they_end() -> None:
    leases = MemoryLeases()
    async with alone("redis", leases, BACKGROUND), alone("redis", leases, BACKGROUND, "worker"):
        assert not await may_hold(leases, holder())
    assert not await may_hold(leases, holder())


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_process_that_no_other_hears_must_do_all(role: ProcessRole) -> None:
    with pytest.raises(StartupRefused, match=f"its role cannot be {role}"):
        alone("local", MemoryLeases(), BACKGROUND, role)


@pytest.mark.parametrize("kind", ["changestream", "redis"])
def test_a_command_may_listen_where_processes_hear_each_other(kind: DoorbellKind) -> None:
    check_hears_others(kind, "ask it")


def test_a_command_that_would_hear_nothing_is_told_what_to_do_instead() -> None:
    with pytest.raises(StartupRefused, match=r"only the server's own process hears .*; ask it"):
        check_hears_others("local", "ask it")
