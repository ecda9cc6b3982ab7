"""`tocsin serve` and `tocsin worker`: run processes on an existing MongoDB."""

import os
import sys
from dataclasses import replace

from entrypoints.cli.printing import out
from entrypoints.cli.runner import finish, run
from entrypoints.cli.supervisor import Supervisor
from entrypoints.process.server import run_server
from entrypoints.process.settings import Settings


def serve(settings: Settings) -> None:
    """Run a server on an existing MongoDB, as one process or several."""
    if settings.processes > 1:
        finish(Supervisor(_children(settings), settings.drain_seconds).run())
    run(run_server(settings, lambda url: out.print(f"Tocsin is at {url}")))


def worker(settings: Settings) -> None:
    """Run a process for projections, deadlines and webhooks alone. Its port serves health and metrics."""
    worker_settings = replace(settings, role="worker")
    run(run_server(worker_settings, lambda url: out.print(f"The worker's health is at {url}/readyz")))


def _children(settings: Settings) -> list[list[str]]:
    """Return the children's commands: this process's own, with overriding options at the end."""
    child = [sys.executable, "-m", "entrypoints.cli.child", str(os.getpid())]
    itself = [*child, *sys.argv[1:], "--processes", "1"]
    return [[*itself, *_ports(settings, index)] for index in range(settings.processes)]


def _ports(settings: Settings, index: int) -> list[str]:
    served = ["--port", str(settings.port + index)] if settings.own_ports else ["--shared-port"]
    return [*served, "--peer-port", str(settings.peer_port + index)] if settings.peer_port else served
