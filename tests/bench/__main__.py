"""Run the benches: `python -m tests.bench [log] [outbox] [...]`; without a name, all of them.

TOCSIN_MONGODB_URI names the MongoDB to measure on; without it one is started for the run.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from adapters.mongo.embedded.mongod import EmbeddedMongod, find_mongod
from tests.bench import (
    bench_delivery,
    bench_fair,
    bench_http,
    bench_latency,
    bench_log,
    bench_outbox,
    bench_replay,
    bench_storm,
)
from tests.bench.table import Row, print_table

BENCHES: dict[str, Callable[[str], list[Row]]] = {
    "log": bench_log.run,
    "delivery": bench_delivery.run,
    "storm": bench_storm.run,
    "latency": bench_latency.run,
    "fair": bench_fair.run,
    "http": bench_http.run,
    "outbox": bench_outbox.run,
    "replay": bench_replay.run,
}


async def _measured(names: list[str]) -> list[Row]:
    uri = os.environ.get("TOCSIN_MONGODB_URI")
    if uri is not None:
        return await asyncio.to_thread(_all, uri, names)
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedMongod(Path(folder), find_mongod(os.environ.get("TOCSIN_MONGOD"))) as mongod:
            return await asyncio.to_thread(_all, mongod.uri, names)


def _all(uri: str, names: list[str]) -> list[Row]:
    return [row for name in names for row in BENCHES[name](uri)]


def main() -> None:
    """Run the benches that are named, or all."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.exit(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    print_table(asyncio.run(_measured(names)))


if __name__ == "__main__":
    main()
