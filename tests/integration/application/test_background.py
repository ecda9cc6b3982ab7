"""A background task is started again after any error, and named until it is steady."""

import asyncio
import logging
from itertools import pairwise

import pytest

from core.application.background import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STEADY_SECONDS, Background
from core.errors import Unavailable
from tests.kit.jumping import run


class Task:
    """A task that fails as often as it is told, then runs."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left = failures
        self.error = error
        self.starts = list[float]()
        self.ends = asyncio.Event()

    async def run(self) -> None:
        self.starts.append(asyncio.get_running_loop().time())
        if self.left:
            self.left -= 1
            raise self.error
        await self.ends.wait()


def test_a_task_that_fails_is_logged_started_again_and_named_until_it_is_steady(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        background, task = Background(lambda: 0.5), Task(1, ValueError("a secret"))
        keeping = asyncio.create_task(background.keep("the appender", "serving", task.run))
        await asyncio.sleep(1.0)
        assert len(task.starts) == 2
        told = ["the appender failed with ValueError and is started again"]
        assert (background.troubles("serving"), background.troubles("working")) == (told, [])
        await asyncio.sleep(STEADY_SECONDS)
        assert background.troubles("serving") == []
        keeping.cancel()

    with caplog.at_level(logging.ERROR, "tocsin.background"):
        run(test)
    assert "a secret" in caplog.text


def test_a_task_that_keeps_failing_is_started_with_growing_bounded_pauses() -> None:
    async def test() -> None:
        background, task = Background(lambda: 1.0), Task(12, KeyError("at"))
        keeping = asyncio.create_task(background.keep("the feed", "working", task.run))
        await asyncio.sleep(100.0)
        pauses = [round(later - earlier, 3) for earlier, later in pairwise(task.starts)]
        assert pauses == sorted(pauses)
        assert (pauses[0], pauses[-1]) == (2 * FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        keeping.cancel()

    run(test)


def test_the_error_within_a_group_is_named() -> None:
    async def test() -> None:
        background = Background(lambda: 0.5)
        task = Task(1, ExceptionGroup("tasks", [ExceptionGroup("more", [Unavailable("away")])]))
        keeping = asyncio.create_task(background.keep("the feed", "serving", task.run))
        await asyncio.sleep(0)
        assert background.troubles("serving") == ["the feed failed with Unavailable and is started again"]
        keeping.cancel()

    run(test)


def test_a_task_that_returns_has_ended_as_it_means_to() -> None:
    async def test() -> None:
        background, task = Background(lambda: 0.5), Task(1, KeyError("at"))
        task.ends.set()
        await background.keep("the feed", "serving", task.run)
        assert len(task.starts) == 2
        assert background.troubles("serving") == []

    run(test)
