"""An event loop in which waiting takes no time: for rules about hours, tested in milliseconds."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable

BOUND_SECONDS = 100_000


class JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: the time it was asked to wait has passed at once."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits, and nothing will ever happen"
            self.elapsed += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time, and seconds pass all the same."""

    def __init__(self) -> None:
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.elapsed


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run the test in such a loop, from second 0 on."""

    async def bounded() -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            await test()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(bounded())
