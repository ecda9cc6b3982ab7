"""Commands over HTTP on one server process against a route that does nothing: single ones, and in bulk."""

import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.bench.load import Figures, Load, measured
from tests.bench.table import Row, median, percentile
from tests.kit.ports import free_port
from tests.kit.processes import Process
from tests.kit.servers import TocsinServer

CONNECTIONS = 64
REQUESTS = 4_000
BULK_REQUESTS = 8
BULK_COMMANDS = 1_000
BULK_CONNECTIONS = 2
ROUNDS = 3


def run(uri: str) -> list[Row]:
    """Measure on the MongoDB at `uri`; the server, the floor and the load are processes of their own."""
    database = f"bench_{uuid.uuid4().hex}"
    with (
        tempfile.TemporaryDirectory() as folder,
        floor(Path(folder)) as noop,
        TocsinServer(Path(folder), uri, database) as server,
    ):
        return _measure(server.port, noop)


def _measure(port: int, noop: int) -> list[Row]:
    # The first requests of a process are slow: connections, indexes, caches.
    _singles(port, CONNECTIONS * 4)
    rounds = [(_noop(noop), _singles(port, REQUESTS), _bulk(port)) for _ in range(ROUNDS)]
    floors, singles, bulks = ([each[which] for each in rounds] for which in range(3))
    base = median([each.per_second for each in floors])
    single = median([each.per_second for each in singles])
    events = median([each.per_second for each in bulks]) * BULK_COMMANDS
    late = [percentile(each.latencies, 0.99) * 1_000 for each in (singles[-1], floors[-1])]
    name = f"commands, {CONNECTIONS} connections"
    return [
        Row(f"{name}, requests/s", f"{single:,.0f}", f"{base:,.0f}", single / base, ">= 0.25"),
        Row(f"{name}, p99", f"{late[0]:.1f} ms", f"{late[1]:.1f} ms", late[0] / late[1], "<= 8"),
        Row("commands in bulk, events/s", f"{events:,.0f}", f"{single:,.0f}", events / single, ">= 1.5"),
    ]


def _noop(port: int) -> Figures:
    return measured(Load(port, "/noop", [_text(_raise())] * REQUESTS, CONNECTIONS))


def _singles(port: int, requests: int) -> Figures:
    return measured(Load(port, "/v1/alarms", [_text(_raise()) for _ in range(requests)], CONNECTIONS))


def _bulk(port: int) -> Figures:
    bodies = [
        _text([{"command": "raise", **_raise()} for _ in range(BULK_COMMANDS)]) for _ in range(BULK_REQUESTS)
    ]
    return measured(Load(port, "/v1/commands", bodies, BULK_CONNECTIONS))


def _raise() -> dict[str, object]:
    """Return a raise of an alarm of its own."""
    return {
        "source": f"boiler-{uuid.uuid4().hex}",
        "type": "overpressure",
        "severity": "major",
        "text": "Pressure 12.4 bar above the limit of 11.0 bar",
        "labels": {"site": "north", "line": "2"},
        "details": {"bar": 12.4, "limit": 11.0},
    }


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


@contextmanager
def floor(folder: Path) -> Iterator[int]:
    """Run the route that does nothing; give its port."""
    port = free_port()
    process = Process("noop", [sys.executable, "-m", "tests.bench.noop", str(port)], folder / "noop.log")
    process.start()
    try:
        process.wait_for_url(f"http://127.0.0.1:{port}/readyz", 30.0)
        yield port
    finally:
        process.kill()
