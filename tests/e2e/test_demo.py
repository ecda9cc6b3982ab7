"""`tocsin up --demo` as somebody who tries it: alarms come by themselves, and one signal ends all."""

import os
import sys
from pathlib import Path

import httpx
import pytest

from tests.kit.ports import free_port
from tests.kit.processes import Process

pytestmark = pytest.mark.e2e


def test_a_plant_reports_to_the_server(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "entrypoints.cli", "up", "--demo", "--port", str(port)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    chosen = {name: os.environ[name] for name in ("TOCSIN_MONGOD",) if name in os.environ}
    command += ["--data", str(tmp_path / "data")]
    with Process("demo", command, tmp_path / "demo.log", env={**env, **chosen}) as demo:
        url = f"http://127.0.0.1:{port}"

        def some() -> list[str] | None:
            try:
                found = httpx.get(f"{url}/v1/alarms", trust_env=False).json()
            except httpx.HTTPError:
                return None
            sources = [each["source"] for each in found.get("alarms", [])]
            return sources if len(sources) >= 3 else None

        assert all("/" in source for source in demo.wait_until("some alarms", some, 30.0))
        assert demo.terminate() == 0
