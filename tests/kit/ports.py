"""Loopback ports for the tests' servers: kept for the life of this process, whoever else runs tests here."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below the range from which Linux takes ports for outgoing connections (32768 and up): the port of a server
# that was killed must not go to somebody's connection, nor may a client that retries connect to itself.
LOWEST = 20_000
HIGHEST = 32_000
TRIES = 1_000

_held: dict[int, int] = {}
"""The lock file of each port that was given out: closing one would give its port to others."""


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on and that no other test process was given."""
    for port in random.sample(range(LOWEST, HIGHEST), TRIES):
        if port not in _held and _hold(port):
            if _is_free(port):
                return port
            os.close(_held.pop(port))
    raise RuntimeError(f"no free port among {TRIES} tried between {LOWEST} and {HIGHEST}")


def _hold(port: int) -> bool:
    folder = Path(tempfile.gettempdir(), f"tocsin-test-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    _held[port] = lock
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As a server does: connections of an earlier one that are not quite over don't matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
