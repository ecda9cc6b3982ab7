"""`tocsin serve` and `tocsin worker`: processes on a MongoDB that is there already."""

import sys
from dataclasses import replace

from entrypoints.cli.printing import out
from entrypoints.cli.runner import finish, run
from entrypoints.cli.supervisor import Supervisor
from entrypoints.process.server import run_server
from entrypoints.process.settings import Settings


def serve(settings: Settings) -> None:
    """Run a server on a MongoDB that is there already, as one process or several."""
    if settings.processes > 1:
        finish(Supervisor(_children(settings), settings.drain_seconds).run())
    run(run_server(settings, lambda url: out.print(f"Tocsin is at {url}")))


def worker(settings: Settings) -> None:
    """Run a process that only works: projections, deadlines, webhooks. Its port has health and metrics."""
    works = replace(settings, role="worker")
    run(run_server(works, lambda url: out.print(f"The worker's health is at {url}/readyz")))


def _children(settings: Settings) -> list[list[str]]:
    """Return the commands of the processes: this one's, with what differs at its end, where it counts."""
    itself = [sys.executable, "-m", "entrypoints.cli", *sys.argv[1:], "--processes", "1"]
    if settings.own_ports:
        return [[*itself, "--port", str(settings.port + index)] for index in range(settings.processes)]
    return [[*itself, "--shared-port"] for _ in range(settings.processes)]
