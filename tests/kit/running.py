"""What all real servers of the tests have in common."""

from abc import ABC, abstractmethod
from typing import Self

from tests.kit.processes import Process

START_SECONDS = 60.0
"""How long a server may take until it is ready; a recovery after a kill takes most of it."""


class Running(ABC):
    """A server in a process of its own; as a context manager it starts, and is killed at the end.

    Every method may block, for a bounded time: in a coroutine call it by `asyncio.to_thread`.
    """

    process: Process
    port: int

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def __repr__(self) -> str:
        return f"<{self.process.name}>"

    @property
    def alive(self) -> bool:
        """Whether it runs; true for a paused one."""
        return self.process.alive

    @abstractmethod
    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until it does what it is there for."""

    def start(self) -> None:
        """Start (again), on the same port, and wait until it is ready."""
        self.process.start()
        self.wait_until_ready()

    def terminate(self, seconds: float = 20.0) -> int:
        """End it cleanly (SIGTERM) and return its exit status."""
        return self.process.terminate(seconds)

    def kill(self) -> None:
        """Kill -9 and wait until it is gone."""
        self.process.kill()

    def pause(self) -> None:
        """SIGSTOP, and wait until it stands."""
        self.process.pause()

    def wake(self) -> None:
        """SIGCONT."""
        self.process.wake()

    def heal(self) -> None:
        """Undo what a test did to the process: wake it, start it."""
        if not self.alive:
            self.start()
        self.wake()
