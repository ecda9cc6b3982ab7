"""Starts and ends a child program, and manages its folder, port and log."""

import asyncio
import fcntl
import json
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.errors import StartupRefused

LOG_LINES = 5
"""How much of the program's log an error shows."""

# Asks Linux to kill it when its parent dies (PR_SET_PDEATHSIG), then becomes the program. It is a program of
# its own, because code between fork and exec is unsafe in a process with threads.
LEASH = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent died before its child was started")
os.execv(sys.argv[2], sys.argv[2:])
"""


async def launch(program: Sequence[str], log: Path, *, again: bool = False) -> asyncio.subprocess.Process:
    """Start a program with its output in a log; on Linux it dies when the calling thread does.

    `again`: the log goes on, because it may say why the program ended.
    """
    leash = (sys.executable, "-I", "-S", "-c", LEASH, str(os.getpid())) if sys.platform == "linux" else ()
    with log.open("ab" if again else "wb") as output:
        return await asyncio.create_subprocess_exec(
            *leash,
            *program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Away from the terminal: its Ctrl-C is for this process, which ends the program last.
            start_new_session=True,
        )


async def end(process: asyncio.subprocess.Process, seconds: float) -> None:
    """Let a program shut down cleanly; kill it after so many seconds."""
    try:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
    finally:
        # Also when a second Ctrl-C cancels the wait.
        if process.returncode is None:
            process.kill()
            await process.wait()


def hold(folder: Path) -> int:
    """Lock the folder for this process, for as long as the returned file descriptor is open.

    Raises:
        StartupRefused: another process has it, or it cannot be written to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartupRefused(f"cannot keep data in {folder}: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StartupRefused(f"another process is using {folder}; stop it or use another folder") from error
    return lock


def choose_port(remembered: Path, wanted: int | None) -> int:
    """Return the wanted port, else the one that the file remembers if it is free, else any free one.

    Raises:
        StartupRefused: the wanted port is in use.
    """
    if wanted is not None:
        if not _is_free(wanted):
            raise StartupRefused(f"port {wanted} on 127.0.0.1 is in use")
        return wanted
    with suppress(OSError, ValueError):
        # The same port as last time spares a replica set a new configuration.
        last = int(remembered.read_text())
        if _is_free(last):
            return last
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As a server does, so that lingering connections of the last run don't matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def last_words(log: Path) -> str:
    """Return the errors at the end of a mongod log, else its last lines."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if not line.startswith("{") or '"s":"E"' in line or '"s":"F"' in line]
    return " | ".join(_readable(line) for line in (errors or lines)[-LOG_LINES:])


def _readable(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    error = entry.get("attr", {}).get("error")
    return f"{entry.get('msg')}: {error}" if error else str(entry.get("msg"))
