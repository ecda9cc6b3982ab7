"""`tocsin verify`: checks the log for gaps and wrong snapshots."""

from rich.console import Console

from core.application.replay.checking import verify as findings_of
from entrypoints.cli.printing import out, say
from entrypoints.cli.progress import SHOWN, progress_on
from entrypoints.cli.runner import finish
from entrypoints.process.settings import Settings
from entrypoints.process.storage import existing


def verify(settings: Settings) -> None:
    """Check the log: no gaps, and every snapshot equals the fold of its alarm's events."""
    finish(verify_log(settings, out))


async def verify_log(settings: Settings, console: Console) -> int:
    """Check the log; return the exit code: 1 if anything is wrong."""
    count = 0
    async with existing(settings) as store:
        with progress_on(console) as progress:
            async for finding in findings_of(store.log, progress):
                count += 1
                if count <= SHOWN:
                    say(console, f"position {finding.position}: {finding.detail}")
        tail = await store.log.tail()
    verdict = "nothing wrong" if count == 0 else f"{count:,} findings"
    console.print(f"{tail.position:,} events: {verdict}")
    return 1 if count else 0
