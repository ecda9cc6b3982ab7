"""The API's description, tried out against a real server by somebody who knows nothing else of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET, token

HERE = Path(__file__).parent
SECONDS = 120


def tried(server: TocsinServer, phases: str, examples: int, *options: str) -> None:
    """Run schemathesis over every operation; fail with what it says."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{server.url}/openapi.json", "--phases", phases, "--max-examples", str(examples)),
        *("--generation-deterministic", "--no-color"),
        *("--continue-on-failure", *options),
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis_hooks"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout[-20_000:] + done.stderr[-2_000:], pytrace=False)


def test_the_api_keeps_what_its_description_says(tmp_path: Path, mongodb_uri: str, database: str) -> None:
    with TocsinServer(tmp_path, mongodb_uri, database) as server:
        tried(server, "coverage,fuzzing", 5)


def test_the_api_keeps_what_its_description_says_with_authentication_too(
    tmp_path: Path, mongodb_uri: str, database: str
) -> None:
    secret = {"TOCSIN_AUTH_SECRET": SECRET}
    with TocsinServer(tmp_path, mongodb_uri, database, env=secret) as server:
        bearer = token("ann", "acme", ("admin", "operator", "source"))
        tried(server, "fuzzing", 3, "--header", f"Authorization: Bearer {bearer}")
