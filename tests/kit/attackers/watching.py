"""A bystander beside a server for as long as an attack lasts, and what it has seen."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.kit.attackers.bystander import Watched, Window
from tests.kit.processes import Process
from tests.kit.servers import TocsinServer

AFTERWARDS_SECONDS = 5.0
"""How long memory is watched on when an attack is over."""
OTHERS = "bystanders"
"""The tenant that has nothing to do with any of it."""
GROWTH_MIB = 150.0
HEALTH_SECONDS = 0.5 if "PYTEST_XDIST_WORKER" not in os.environ else 1.5
"""The promise is the first; the second where other tests take the processors at the same time."""


@dataclass
class Seen:
    """What the bystander saw, all windows together."""

    windows: list[Window] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """How much memory the server took at most beyond what it had at the beginning, in MiB."""
        return (max(window.peak for window in self.windows) - self.windows[0].first) / 1_024

    @property
    def longest(self) -> float:
        """How long /healthz took at most."""
        return max(window.longest for window in self.windows)

    @property
    def healthy(self) -> int:
        """How often /healthz answered 200."""
        return sum(window.healthy for window in self.windows)

    @property
    def answered(self) -> int:
        """How many commands were answered 2xx."""
        return sum(window.answered for window in self.windows)

    @property
    def refused(self) -> int:
        """How often a command was to come again later."""
        return sum(window.refused for window in self.windows)

    @property
    def failed(self) -> Counter[str]:
        """Answers that are no refusal, by status; "0": there was none."""
        return sum((Counter(window.failed) for window in self.windows), Counter[str]())

    def quantile(self, share: float) -> int:
        """Return the milliseconds within which that share of the commands were answered."""
        counted = sum((Counter(window.milliseconds) for window in self.windows), Counter[int]())
        left = share * counted.total()
        for took, count in sorted(counted.items()):
            left -= count
            if left <= 0:
                return took
        return 0

    def __str__(self) -> str:
        failed = ", ".join(f"{status} {count}" for status, count in sorted(self.failed.items())) or "none"
        return (
            f"{self.growth:+.0f} MiB; /healthz {self.longest:.2f} s at most, {self.healthy} times; commands: "
            f"{self.answered} answered, {self.refused} refused, failed {failed}, "
            f"p50 {self.quantile(0.5)} ms, p99 {self.quantile(0.99)} ms"
        )


def bystander(watched: Watched, folder: Path) -> Process:
    """Return the process, not yet started."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.kit.attackers.bystander", msgspec.json.encode(watched).decode()]
    return Process(f"bystander:{watched.port}", command, folder / f"bystander-{watched.port}.log")


@asynccontextmanager
async def watching(server: TocsinServer, folder: Path, *, rate: float = 10.0) -> AsyncIterator[Seen]:
    """Watch a server and give it another tenant's commands; what was seen is there after the context."""
    seen = Seen()
    watched = Watched(server.port, server.process.pid, OTHERS, rate)
    with bystander(watched, folder) as process:
        await asyncio.to_thread(process.wait_for_line, "watching")
        yield seen
        await asyncio.sleep(AFTERWARDS_SECONDS)
        await asyncio.to_thread(process.terminate, 60.0)
        seen.windows += windows(process.output())


def windows(output: str) -> list[Window]:
    """Return the windows that a bystander has told of."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    return [msgspec.convert(msgspec.json.decode(line), Window, strict=False) for line in lines]


def assert_unharmed(seen: Seen, server: TocsinServer, pid: int) -> None:
    """Check that an attack has harmed neither the server nor the other tenant."""
    assert (server.process.alive, server.process.pid) == (True, pid), seen
    assert seen.growth <= GROWTH_MIB, seen
    assert seen.healthy > 0, seen
    assert seen.longest <= HEALTH_SECONDS, seen
    assert seen.answered > 0, seen
    assert not seen.failed, seen
