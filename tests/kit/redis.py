"""A real redis-server that keeps nothing."""

import socket
from pathlib import Path

from tests.kit.ports import free_port
from tests.kit.processes import Process, program
from tests.kit.running import START_SECONDS, Running


class RedisServer(Running):
    """A redis-server on a port of its own; a restart keeps the port and nothing else."""

    def __init__(self, folder: Path) -> None:
        """Take a folder for its output."""
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(folder)),
        ]
        self.process = Process(f"redis:{self.port}", command, folder / "redis.log")

    @property
    def url(self) -> str:
        """Where a client finds it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until it answers PING."""
        self.process.wait_until("it answers PING", self._answers, seconds)

    def restart(self) -> None:
        """Kill -9 and start again."""
        self.kill()
        self.start()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
