"""Two processes that handle commands on one log in memory."""

import pytest

from adapters.memory.answers import MemoryAnswers
from adapters.memory.log import Events
from tests.integration.log.handling import Server


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def answers() -> MemoryAnswers:
    return MemoryAnswers()


@pytest.fixture
def here(events: Events, answers: MemoryAnswers) -> Server:
    return Server(events, answers)


@pytest.fixture
def there(events: Events, answers: MemoryAnswers) -> Server:
    """Another process on the same log."""
    return Server(events, answers)
