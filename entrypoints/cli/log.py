"""`tocsin log`: what the log is, and giving it another identity after a restore."""

from rich.console import Console

from entrypoints.process.settings import FeedChoice, Settings
from entrypoints.process.storage import alone, storage


async def show_log(settings: Settings, out: Console) -> None:
    """Print the log's identity, its end and how processes on it hear of each other. Raises Unavailable."""
    async with storage(*_chosen(settings)) as store:
        tail = await store.log.tail()
        out.print(f"identity  {await store.log.identity()}")
        out.print(
            f"position  {tail.position:,}" + (f", recorded at {tail.at.isoformat()}" if tail.at else "")
        )
        out.print(f"feed      {store.link.kind}")


async def reset_identity(settings: Settings, out: Console) -> None:
    """Make everybody who remembers a position of this log start over.

    Raises:
        StartupRefused: a process is running that would not hear of it.
        Unavailable: MongoDB cannot be reached.
    """
    async with storage(*_chosen(settings)) as store, alone(store):
        before = await store.log.identity()
        out.print(f"the log was {before} and is {await store.log.reset_identity()} now", soft_wrap=True)


def _chosen(settings: Settings) -> tuple[str, str, FeedChoice, str | None]:
    return settings.mongodb_uri, settings.database, settings.feed, settings.redis_url
