"""Decides which processes may run beside each other on one database, by the doorbell between them."""

from contextlib import AbstractAsyncContextManager, nullcontext

from adapters.mongo.checks import DoorbellKind
from core.application.background import Background
from core.application.workers.single_process import single_process
from core.coordination.ports import Leases
from core.errors import StartupRefused
from entrypoints.process.host import holder
from entrypoints.process.settings import ProcessRole

SHARED_HOLDER = "redis"
"""The name under which processes that hear each other through Redis share the process lease."""


def hears_others(kind: DoorbellKind) -> bool:
    """Return whether processes hear of each other's changes."""
    return kind != "local"


def check_hears_others(kind: DoorbellKind, instead: str) -> None:
    """Raise StartupRefused unless processes hear of each other's changes; `instead`: what to do otherwise."""
    if not hears_others(kind):
        raise StartupRefused(
            "on a standalone mongod without Redis only the server's own process hears of new events and of"
            f" retries; {instead}"
        )


def alone(
    kind: DoorbellKind, leases: Leases, background: Background, role: ProcessRole = "all"
) -> AbstractAsyncContextManager[None]:
    """Keep out every process that could not hear from this one. Raises StartupRefused, Unavailable."""
    if not hears_others(kind):
        if role != "all":
            raise StartupRefused(
                f"on a standalone mongod without Redis one process does all; its role cannot be {role}"
            )
        return single_process(leases, holder(), background)
    # All processes on a replica set hear each other; those on Redis keep out one that is not on it.
    if kind == "changestream":
        return nullcontext()
    return single_process(leases, SHARED_HOLDER, background, shared=True)
