"""Child processes of the tests: started, watched, paused, killed, and never outliving pytest."""

import os
import re
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from tests.kit.components import component
from tests.kit.waiting import NeverHappened, wait_until

T = TypeVar("T")

TAIL_LINES = 30
REPOSITORY = Path(__file__).resolve().parents[2]

# Becomes the program, after asking Linux to kill it when the thread that started it ends (PR_SET_PDEATHSIG).
# A program of its own, because code between fork and exec is unsafe in a process with threads.
LEASH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent died before its child was started")
os.execv(sys.argv[2], sys.argv[2:])
"""

# The one thread that starts children. It lasts as long as pytest, so any thread may call `start`: a child
# started from a thread of `asyncio.to_thread` itself would be killed together with its event loop's pool.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="launcher")

started: "weakref.WeakSet[Process]" = weakref.WeakSet()
"""Every process that a test may want to see the output of."""


class ProcessFailed(AssertionError):
    """A child ended on its own, did not get ready, or would not end; the message has its last output."""


def program(*names: str) -> str:
    """Return the path of the first of these programs that is on PATH; without any, skip (fail in CI)."""
    found = [path for name in names if (path := shutil.which(name))]
    component(names[0], bool(found))
    return found[0]


class Process:
    """One child in a process group of its own, its output in a file that restarts append to.

    As a context manager it starts the child and kills it at the end. Every method may block, for a bounded
    time: in a coroutine call it by `asyncio.to_thread`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        output: Path,
        *,
        env: Mapping[str, str] | None = None,
        shown: int = TAIL_LINES,
        cwd: Path = REPOSITORY,
    ) -> None:
        """Take the command, its path absolute, and how many of its last lines a failure shows."""
        self._cwd = cwd
        self.name = name
        self.command = list(command)
        self.env = env
        self._shown = shown
        self._output = output
        # Where in the file the output of the latest start begins.
        self._begin = 0
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """How it ended: its exit status, or minus the signal that killed it. None: it runs (or is paused)."""
        return None if self._child is None else self._child.poll()

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended; true for a paused one."""
        return self._child is not None and self._child.poll() is None

    @property
    def paused(self) -> bool:
        """Whether it is stopped by SIGSTOP."""
        if not self.alive:
            return False
        # The name of the program, in parentheses, may contain anything; the state follows it.
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def start(self) -> None:
        """Start it; it is then running but not necessarily ready."""
        assert not self.alive, f"{self.name} is running already"
        self._begin = self._output.stat().st_size if self._output.exists() else 0
        self._child = _launcher.submit(self._launch).result()
        started.add(self)

    def _launch(self) -> subprocess.Popen[bytes]:
        leash = [sys.executable, "-I", "-S", "-c", LEASH, str(os.getpid())]
        with self._output.open("ab") as output:
            return subprocess.Popen(
                [*(leash if sys.platform == "linux" else ()), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env=self.env,
                start_new_session=True,
            )

    def output(self) -> str:
        """What it has written since the latest start."""
        if not self._output.exists():
            return ""
        with self._output.open("rb") as file:
            file.seek(self._begin)
            return file.read().decode(errors="replace")

    def tail(self) -> str:
        """The last lines that it has written since the latest start."""
        return "\n".join(self.output().splitlines()[-self._shown :])

    def wait_for_line(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """Wait for the first line since the latest start in which the pattern is found."""
        expression = re.compile(pattern, re.MULTILINE)
        return self.wait_until(f"a line like {pattern!r}", lambda: expression.search(self.output()), seconds)

    def wait_for_url(self, url: str, seconds: float = 20.0) -> None:
        """Wait until GET of an HTTP address answers 200."""
        self.wait_until(f"GET {url} answers 200", lambda: answers(url), seconds)

    def wait_until(self, what: str, condition: Callable[[], T | None], seconds: float = 20.0) -> T:
        """Wait for a condition, but not on after the process has ended.

        Raises:
            ProcessFailed: the condition did not come true in that time, or the process ended first.
        """

        def look() -> T | None:
            answer = condition()
            if not answer and not self.alive:
                raise self.failed(f"ended with status {self.returncode} before {what}")
            return answer

        try:
            return wait_until(what, look, seconds)
        except NeverHappened as error:
            raise self.failed(str(error)) from error

    def failed(self, why: str) -> ProcessFailed:
        """Return an error that shows the last output."""
        return ProcessFailed(f"{self.name} {why}; its last output:\n{self.tail()}")

    def terminate(self, seconds: float = 20.0) -> int:
        """Ask it to end (SIGTERM), also a paused one, and return its exit status.

        Raises:
            ProcessFailed: it had not ended after that time; it was killed then.
        """
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        return self.wait(seconds)

    def interrupt(self) -> None:
        """Send the SIGINT of a Ctrl-C."""
        self._signal(signal.SIGINT)

    def wait(self, seconds: float = 20.0) -> int:
        """Wait until it has ended on its own and return its exit status.

        Raises:
            ProcessFailed: it had not ended after that time; it was killed then.
        """
        assert self._child is not None, f"{self.name} was never started"
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired as error:
            failure = self.failed(f"did not end within {seconds:g} s")
            self.kill()
            raise failure from error

    def kill(self) -> None:
        """Kill -9 the whole group and wait until it is gone; nothing happens if it is not running."""
        self._signal(signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def pause(self) -> None:
        """Stop it (SIGSTOP) and wait until it stands."""
        self._signal(signal.SIGSTOP)
        self.wait_until("it stands still", lambda: self.paused, 5.0)

    def wake(self) -> None:
        """Let a paused one go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def answers(url: str) -> bool:
    """Tell whether GET of an address answers 200 at this moment."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
