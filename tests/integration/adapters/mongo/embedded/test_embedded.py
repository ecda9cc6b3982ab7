"""The mongod that comes along: it starts, keeps its data, and says why when it cannot."""

import asyncio
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import WriteConcern

from adapters.mongo.embedded.mongod import EmbeddedMongod, find_mongod
from core.application.waiting import cancelled
from core.errors import StartupRefused
from tests.kit.components import component

WAIT_SECONDS = 30.0


@pytest.fixture
def mongod() -> Path:
    try:
        return find_mongod(os.environ.get("TOCSIN_MONGOD"))
    except StartupRefused:
        component("mongod", found=False)
        raise


@pytest.fixture
def bare(tmp_path: Path, mongod: Path) -> Path:
    return Path(shutil.copyfile(mongod, tmp_path / "bare"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def write(uri: str, number: int) -> None:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri)
    try:
        kept = client.kept.get_collection("numbers", write_concern=WriteConcern("majority", j=True))
        await kept.insert_one({"_id": number})
    finally:
        client.close()


async def numbers(uri: str) -> list[int]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri)
    try:
        return [document["_id"] async for document in client.kept.numbers.find().sort("_id")]
    finally:
        client.close()


def mongod_log(folder: Path) -> str:
    return (folder / "mongod.log").read_text()


async def closed(port: int) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_the_next_start_has_the_data_and_the_same_port(tmp_path: Path, mongod: Path) -> None:
    async with EmbeddedMongod(tmp_path / "data", mongod) as first:
        await write(first.uri, 1)
    async with EmbeddedMongod(tmp_path / "data", mongod) as second:
        assert second.uri == first.uri
        await write(second.uri, 2)
        assert await numbers(second.uri) == [1, 2]


async def test_a_start_on_another_port_has_the_data_too(tmp_path: Path, mongod: Path) -> None:
    async with EmbeddedMongod(tmp_path, mongod) as first:
        await write(first.uri, 1)
    port = free_port()
    async with EmbeddedMongod(tmp_path, mongod, port) as second:
        assert f":{port}/" in second.uri
        assert second.uri != first.uri
        await write(second.uri, 2)
        assert await numbers(second.uri) == [1, 2]


async def test_a_last_port_that_is_taken_is_replaced(tmp_path: Path, mongod: Path) -> None:
    async with EmbeddedMongod(tmp_path, mongod) as first:
        await write(first.uri, 1)
    port = first.uri.split(":")[2].partition("/")[0]
    stranger = await asyncio.start_server(hang_up, "127.0.0.1", int(port))
    async with stranger, EmbeddedMongod(tmp_path, mongod) as second:
        assert second.uri != first.uri
        assert await numbers(second.uri) == [1]


async def test_the_embedded_mongod_is_gone_afterwards(tmp_path: Path, mongod: Path) -> None:
    async with EmbeddedMongod(tmp_path, mongod, port := free_port()):
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_second_mongod_on_the_same_folder_is_refused(tmp_path: Path, mongod: Path) -> None:
    async with EmbeddedMongod(tmp_path, mongod) as first:
        with pytest.raises(StartupRefused, match="another process is using"):
            await EmbeddedMongod(tmp_path, mongod).__aenter__()
        await write(first.uri, 1)


async def test_a_mongod_of_somebody_else_on_the_data_is_named(tmp_path: Path, mongod: Path) -> None:
    async with EmbeddedMongod(tmp_path / "one", mongod):
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "db").symlink_to(tmp_path / "one" / "db")
        with pytest.raises(StartupRefused, match="DBPathInUse"):
            await EmbeddedMongod(tmp_path / "two", mongod).__aenter__()


async def test_a_taken_port_is_refused(tmp_path: Path, mongod: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StartupRefused, match=f"port {port} .* in use"):
            await EmbeddedMongod(tmp_path, mongod, port).__aenter__()


async def test_a_program_that_is_no_mongod_shows_what_it_said(tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    program.write_text("#!/bin/sh\necho this is no database >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(StartupRefused, match=r"ended with status 3.*this is no database"):
        await EmbeddedMongod(tmp_path / "data", program).__aenter__()


async def test_a_program_without_its_run_bit_is_copied(tmp_path: Path, bare: Path) -> None:
    async with EmbeddedMongod(tmp_path / "data", bare) as running:
        await write(running.uri, 1)
    assert os.access(tmp_path / "data" / "mongod", os.X_OK)


def test_without_any_mongod_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(StartupRefused, match="TOCSIN_MONGOD"):
        find_mongod(None)


def test_an_explicit_mongod_that_is_not_there_is_not_replaced() -> None:
    with pytest.raises(StartupRefused, match="/nowhere/mongod"):
        find_mongod("/nowhere/mongod")


def test_a_mongod_on_path_comes_before_the_one_that_comes_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "mongod"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_mongod(None) == program


PARENT = """
import asyncio, sys
from pathlib import Path
from adapters.mongo.embedded.mongod import EmbeddedMongod

async def main():
    async with EmbeddedMongod(Path(sys.argv[1]), Path(sys.argv[2])) as mongod:
        print(mongod.uri, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_the_embedded_mongod_dies_with_a_parent_that_was_killed_and_keeps_the_data(
    tmp_path: Path, mongod: Path
) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path), str(mongod)), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    uri = (await asyncio.wait_for(parent.stdout.readline(), WAIT_SECONDS)).decode().strip()
    await write(uri, 1)
    parent.kill()
    await parent.wait()
    await closed(int((tmp_path / "port").read_text()))
    async with EmbeddedMongod(tmp_path, mongod) as again:
        assert await numbers(again.uri) == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a process group of its own")
async def test_ctrl_c_in_the_terminal_does_not_reach_the_embedded_mongod(
    tmp_path: Path, mongod: Path
) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path), str(mongod)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert parent.stdout is not None
    await asyncio.wait_for(parent.stdout.readline(), WAIT_SECONDS)
    os.killpg(parent.pid, signal.SIGINT)
    await asyncio.wait_for(parent.wait(), WAIT_SECONDS)
    # Only who is stopped by SIGTERM, and not by the terminal's SIGINT, says so.
    assert '"signal":15,' in mongod_log(tmp_path)
    assert '"signal":2,' not in mongod_log(tmp_path)


async def test_a_mongod_that_is_killed_is_named_with_its_log_and_started_again(
    tmp_path: Path, mongod: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with EmbeddedMongod(tmp_path, mongod) as running:
        keeping = asyncio.create_task(running.keep_running(lambda: 0.5))
        try:
            await write(running.uri, 1)
            killed = pid_of(tmp_path)
            os.kill(killed, signal.SIGKILL)
            async with asyncio.timeout(2 * WAIT_SECONDS):
                while "runs again" not in caplog.text:
                    await asyncio.sleep(0.02)
            await write(running.uri, 2)
            assert await numbers(running.uri) == [1, 2]
        finally:
            await cancelled([keeping])
    assert f"ended with status {-signal.SIGKILL}; its log, {tmp_path / 'mongod.log'}" in caplog.text
    # What the killed one wrote is still there.
    assert f'"pid":{killed}' in mongod_log(tmp_path)


def pid_of(folder: Path) -> int:
    return int((folder / "db" / "mongod.lock").read_text())
