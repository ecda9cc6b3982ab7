"""The victim of each attack: one fresh server with default settings and authentication."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.attackers.target import Target
from tests.kit.attackers.watching import Seen, assert_unharmed, watching
from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET

TIMEOUT_SECONDS = 300.0
"""An attack that tells holds up its test for long, which should end with the figures nevertheless."""
AUTHENTICATION = {"TOCSIN_AUTH_SECRET": SECRET}


class Victim:
    """The server, and a way to attack it under watch."""

    def __init__(self, server: TocsinServer, folder: Path) -> None:
        self.server = server
        self.target = Target(server.port)
        self._folder = folder

    async def bears(self, *attacks: Callable[[Target], Awaitable[object]]) -> Seen:
        """Attack it in one way after the other; check that neither it nor another tenant is harmed."""
        pid = self.server.process.pid
        async with watching(self.server, self._folder) as seen:
            for attack in attacks:
                await attack(self.target)
        print(f"\n{seen}")  # noqa: T201 (what was measured)
        assert_unharmed(seen, self.server, pid)
        return seen


@pytest.fixture
def victim(mongodb_uri: str, database: str, tmp_path: Path) -> Iterator[Victim]:
    """Give a running server, nothing in its log yet."""
    with TocsinServer(tmp_path, mongodb_uri, database, env=AUTHENTICATION) as server:
        yield Victim(server, tmp_path)
