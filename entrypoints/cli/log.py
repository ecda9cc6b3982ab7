"""`tocsin log show | reset-identity`: shows the log, and gives it a new identity after a restore."""

from rich.console import Console

from core.application.background import Background
from entrypoints.cli.printing import out
from entrypoints.cli.runner import run
from entrypoints.process.coexistence import alone
from entrypoints.process.host import MACHINE
from entrypoints.process.settings import Settings
from entrypoints.process.storage import existing, storage


def show_log(settings: Settings) -> None:
    """Print the log's identity, its newest position and its feed."""
    run(print_log(settings, out))


def reset_log_identity(settings: Settings) -> None:
    """Give the log a new identity after a restore, so that every process and client starts over."""
    run(reset_identity(settings, out))


async def print_log(settings: Settings, console: Console) -> None:
    """Print the log's identity, newest position and feed. Raises StartupRefused, Unavailable."""
    async with existing(settings) as store:
        tail = await store.log.tail()
        recorded = f", recorded at {tail.at.isoformat()}" if tail.at else ""
        console.print(f"identity  {await store.log.identity()}")
        console.print(f"position  {tail.position:,}{recorded}")
        console.print(f"feed      {store.kind}")


async def reset_identity(settings: Settings, console: Console) -> None:
    """Give the log a new identity, so that processes and clients with a position of the old one start over.

    Raises:
        StartupRefused: a running process would not notice the new identity.
        Unavailable: MongoDB cannot be reached.
    """
    async with storage(settings) as store, alone(store.kind, store.leases, Background(MACHINE.chance)):
        before = await store.log.identity()
        console.print(f"the log was {before} and is {await store.log.reset_identity()} now", soft_wrap=True)
