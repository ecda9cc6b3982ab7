"""`tocsin log show | reset-identity`: what the log is, and giving it another identity after a restore."""

from rich.console import Console

from entrypoints.cli.printing import out
from entrypoints.cli.runner import run
from entrypoints.process.settings import Settings
from entrypoints.process.storage import alone, storage


def show_log(settings: Settings) -> None:
    """Print the log's identity and its end."""
    run(print_log(settings, out))


def reset_log_identity(settings: Settings) -> None:
    """After a restore from a backup: let every process and every client start over."""
    run(reset_identity(settings, out))


async def print_log(settings: Settings, console: Console) -> None:
    """Print the log's identity, its end and how processes on it hear of each other. Raises Unavailable."""
    async with storage(settings) as store:
        tail = await store.log.tail()
        recorded = f", recorded at {tail.at.isoformat()}" if tail.at else ""
        console.print(f"identity  {await store.log.identity()}")
        console.print(f"position  {tail.position:,}{recorded}")
        console.print(f"feed      {store.link.kind}")


async def reset_identity(settings: Settings, console: Console) -> None:
    """Make everybody who remembers a position of this log start over.

    Raises:
        StartupRefused: a process is running that would not hear of it.
        Unavailable: MongoDB cannot be reached.
    """
    async with storage(settings) as store, alone(store):
        before = await store.log.identity()
        console.print(f"the log was {before} and is {await store.log.reset_identity()} now", soft_wrap=True)
