"""The victim of each attack: one fresh server with default settings and authentication."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.kit.attackers.target import Target
from tests.kit.attackers.watching import assert_unharmed, watching
from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET

T = TypeVar("T")

TIMEOUT_SECONDS = 300.0
"""An attack that tells holds up its test for long, which should end with the figures nevertheless."""
AUTHENTICATION = {"TOCSIN_AUTH_SECRET": SECRET}


class Victim:
    """The server, and a way to attack it under watch."""

    def __init__(self, server: TocsinServer, folder: Path) -> None:
        self.server = server
        self.target = Target(server.port)
        self._folder = folder

    async def bears(self, attack: Callable[[Target], Awaitable[T]]) -> T:
        """Attack it; check that neither it nor another tenant is harmed, and return what the attack did."""
        pid = self.server.process.pid
        async with watching(self.server, self._folder) as seen:
            outcome = await attack(self.target)
        print(f"\n{seen}; outcome: {outcome}")  # noqa: T201 (what was measured)
        assert_unharmed(seen, self.server, pid)
        return outcome


@pytest.fixture
def victim(mongodb_uri: str, database: str, tmp_path: Path) -> Iterator[Victim]:
    """Give a running server, nothing in its log yet."""
    with TocsinServer(tmp_path, mongodb_uri, database, env=AUTHENTICATION) as server:
        yield Victim(server, tmp_path)
