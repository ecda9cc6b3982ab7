"""Real server processes of Tocsin: `python -m entrypoints.cli serve`."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.kit.ports import free_port
from tests.kit.processes import REPOSITORY, Process
from tests.kit.running import START_SECONDS, Running


class TocsinServer(Running):
    """One server process on a port of its own; a restart keeps the port."""

    def __init__(
        self,
        folder: Path,
        mongodb_uri: str,
        database: str,
        *,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        code: Path = REPOSITORY,
    ) -> None:
        """Take a folder for its output, options and environment on top of the usual, and where its code is.

        What TOCSIN_* variables the tests run with does not reach it.
        """
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "entrypoints.cli", "serve", "--port", str(self.port)),
            *("--mongodb-uri", mongodb_uri, "--database", database),
            *options,
        ]
        usual = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        self.process = Process(
            f"tocsin:{self.port}",
            command,
            folder / f"tocsin-{self.port}.log",
            env={**usual, **(env or {})},
            cwd=code,
        )

    @property
    def url(self) -> str:
        """Where its HTTP is, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where its WebSocket is."""
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until GET /readyz answers 200."""
        self.process.wait_for_url(f"{self.url}/readyz", seconds)

    def client(self) -> httpx.AsyncClient:
        """Return an HTTP client for it, to be used as an async context manager."""
        return httpx.AsyncClient(base_url=self.url, timeout=30.0, trust_env=False)
