"""Nothing lost, repeated or out of order, and nobody held up, while everything from outside attacks.

TOCSIN_SIEGE_SECONDS says how long (60; a release is besieged for 1,800), TOCSIN_FAULT_SEED in which order.
"""

import os
from pathlib import Path

import pytest

from tests.faults.siege import Log, besiege
from tests.faults.test_faults import SEED
from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET

SECONDS = float(os.environ.get("TOCSIN_SIEGE_SECONDS", "60"))

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(SECONDS + 900)]


async def test_two_servers_withstand_a_siege(mongodb_uri: str, database: str, tmp_path: Path) -> None:
    env = {"TOCSIN_AUTH_SECRET": SECRET}
    with (
        TocsinServer(tmp_path, mongodb_uri, database, env=env) as first,
        TocsinServer(tmp_path, mongodb_uri, database, env=env) as second,
    ):
        siege = await besiege([first, second], Log(mongodb_uri, database), tmp_path, SECONDS, SEED)
    print(f"\n{siege.table()}")  # noqa: T201 (the table is what a siege is for)
    assert not siege.faults(), siege.table()
