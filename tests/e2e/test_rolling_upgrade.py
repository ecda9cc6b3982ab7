"""Two versions of the code side by side on one log: the older one guesses at nothing."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pymongo import MongoClient

from adapters.mongo.log.store import EVENTS
from tests.kit.clients import streaming
from tests.kit.processes import REPOSITORY
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

SECONDS = 20
PATCHES = {
    "core/alarm/events.py": (("SCHEMA_VERSION = 1", "SCHEMA_VERSION = 2"),),
    "core/alarm/facts.py": (
        (
            "latched: bool = False\n    previous:",
            "latched: bool = False\n    impact: str = 'new'\n    previous:",
        ),
    ),
    "core/alarm/upcasting.py": (
        (
            "Step] = {}",
            "Step] = {('alarm.raised', 1): lambda data: {**data, 'impact': 'of old'}}",
        ),
    ),
}
"""The next version: a raised event has one more field, which the events of before are given."""


def raising(number: int) -> dict[str, str]:
    return {"source": f"pump-{number}", "type": "pressure_high", "severity": "major"}


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """The code of the next version."""
    folder = tmp_path / "next"
    for name in ("core", "adapters", "entrypoints"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file, changes in PATCHES.items():
        text = (folder / file).read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, f"{file} has changed: adapt the next version's patch"
            text = text.replace(old, new)
        (folder / file).write_text(text, encoding="utf-8")
    return folder


async def not_ready(server: TocsinServer, why: str) -> None:
    async with asyncio.timeout(SECONDS), server.client() as http:
        while True:
            answer = await http.get("/readyz")
            if answer.status_code == 503 and any(why in reason for reason in answer.json()["reasons"]):
                return
            await asyncio.sleep(0.05)


async def test_an_upgrade_of_one_process_after_the_other_loses_no_event(
    tmp_path: Path, mongodb_uri: str, database: str, upgraded: Path
) -> None:
    with (
        TocsinServer(tmp_path, mongodb_uri, database) as old,
        TocsinServer(tmp_path, mongodb_uri, database, code=upgraded) as new,
    ):
        async with old.client() as at_old, new.client() as at_new, streaming(old.ws_url) as client:
            first = (await at_old.post("/v1/alarms", json=raising(1))).json()
            second = (await at_new.post("/v1/alarms", json=raising(2))).json()
            # The old process passes it on, with what it knows of it, and projects no further.
            await client.until_position(second["position"])
            await not_ready(old, "alarm.raised v2")
            refused = await at_old.post(f"/v1/alarms/{second['alarm']['id']}/comment", json={"text": "?"})
            assert (refused.status_code, refused.json()["code"]) == (503, "newer_version")
            third = (await at_old.post("/v1/alarms", json=raising(3))).json()
            # The new one goes on where it stopped, and decides and projects on what the old one wrote.
            listed = (await at_new.get("/v1/alarms", params={"min_position": third["position"]})).json()
            assert sorted(alarm["source"] for alarm in listed["alarms"]) == ["pump-1", "pump-2", "pump-3"]
            path = f"/v1/alarms/{first['alarm']['id']}/acknowledge"
            assert (await at_new.post(path, json={"revision": 1})).status_code == 200
    for command in (["verify"], ["replay", "alarms", "--check"], ["replay", "alarms", "--newest"]):
        run(upgraded, mongodb_uri, database, command)


def run(folder: Path, uri: str, database: str, command: list[str]) -> None:
    line = [sys.executable, "-m", "entrypoints.cli", *command, "--mongodb-uri", uri, "--database", database]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_a_process_that_cannot_read_an_event_sends_its_clients_elsewhere(
    tmp_path: Path, mongodb_uri: str, database: str
) -> None:
    with TocsinServer(tmp_path, mongodb_uri, database) as server:
        async with server.client() as http, streaming(server.ws_url) as client:
            raised = (await http.post("/v1/alarms", json=raising(1))).json()
            await client.until_position(raised["position"])
            with MongoClient[dict[str, object]](mongodb_uri) as mongo:
                events = mongo[database][EVENTS]
                found = events.find_one({"_id": raised["position"]})
                assert found is not None
                alarm = {**found["alarm"], "state": "cooling", "revision": 2}  # type: ignore[dict-item]
                following = {"_id": raised["position"] + 1, "event_id": "x", "revision": 2, "v": 2}
                events.insert_one({**found, **following, "alarm": alarm})
            assert (await client.closed())[0] == 1012
            await not_ready(server, "the feed: stopped")
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/v1/alarms")).status_code == 200
