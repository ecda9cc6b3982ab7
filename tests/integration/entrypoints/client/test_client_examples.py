"""The examples in docs/clients.md do what they say."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.kit.node import node
from tests.kit.processes import REPOSITORY, Process
from tests.kit.streams import streaming

ADDRESS = "ws://127.0.0.1:8080/v1/stream"


def example(language: str) -> str:
    text = (REPOSITORY / "docs" / "clients.md").read_text()
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert ADDRESS in code
    return str(code)


@pytest.mark.parametrize(("language", "suffix"), [("python", ".py"), ("js", ".mjs")])
async def test_an_example_shows_the_list_and_the_events(language: str, suffix: str, tmp_path: Path) -> None:
    script = tmp_path / f"example{suffix}"
    program = sys.executable if language == "python" else node()
    async with streaming() as streams:
        streams.publish(streams.plant.reported("pump/1"))
        code = (
            example(language)
            .replace(ADDRESS, streams.url)
            .replace("./entrypoints", f"{REPOSITORY}/entrypoints")
        )
        script.write_text(code)
        env = {"PYTHONPATH": str(REPOSITORY)}
        with Process("example", [program, str(script)], tmp_path / "out.log", env=env) as ran:
            await asyncio.to_thread(ran.wait_for_line, "major pump/1 unacked")
            streams.publish(streams.plant.reported("pump/2"))
            await asyncio.to_thread(ran.wait_for_line, "2 alarm.raised")
