"""A process that watches a server while others attack it: its memory, its health, its answers to commands.

python -m tests.kit.attackers.bystander '{"port": ..., "pid": ..., ...}'

It stands apart so that an attacker's work is not taken for the server's. It prints a `Window` as a line
of JSON every `window` seconds, and the last one on SIGTERM.
"""

import http.client
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO, TypeVar

import msgspec

from tests.kit.tokens import bearing, token

T = TypeVar("T")

HEALTH_SECONDS = 0.1
MEMORY_SECONDS = 0.05
THREADS = 8
ANSWER_SECONDS = 40.0
NEVER = 999.0
"""What stands for the time of an answer that did not come, or was wrong."""
AGAIN_SECONDS = 0.2
GIVEN_UP_SECONDS = 30.0
"""How long a command is repeated with its key until it is left in doubt."""
SOURCES = 100
TYPE = "pressure"


class Watched(msgspec.Struct, frozen=True):
    """What to watch, and how many commands a second of which tenant to give meanwhile."""

    port: int
    pid: int
    tenant: str
    rate: float
    window: float = 3_600.0
    operations: str | None = None
    """Where to write how each command ended: `key outcome position`, a line each."""


class Window(msgspec.Struct):
    """What was seen in a part of the time; sizes in KiB."""

    first: int = 0
    last: int = 0
    peak: int = 0
    healthy: int = 0
    longest: float = 0.0
    """Seconds that /healthz took at most, without those for which server or watch waited for a CPU.

    A machine that is busy with other things is no fault of the server. NEVER if one failed.
    """
    answered: int = 0
    refused: int = 0
    """How often a command was answered 503 or 429 with Retry-After, and sent again."""
    failed: dict[str, int] = {}
    milliseconds: dict[int, int] = {}
    """How many commands took so long, from the first try on."""


class Bystander:
    """The threads, and what they have seen in this window."""

    def __init__(self, watched: Watched, out: TextIO, operations: TextIO | None) -> None:
        self._watched = watched
        self._out, self._operations = out, operations
        self._window = Window()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._numbers = iter(range(10**9))
        self._headers = bearing(token("bystander", watched.tenant, ("source", "operator"), 86_400.0))

    def run(self) -> None:
        """Watch until SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: self._over.set())
        self._memory()
        jobs = [
            lambda: self._every(MEMORY_SECONDS, self._memory),
            lambda: self._every(HEALTH_SECONDS, self._health),
        ]
        threads = [threading.Thread(target=job) for job in jobs + [self._command_on] * THREADS]
        for thread in threads:
            thread.start()
        print("watching", file=self._out, flush=True)
        while not self._over.wait(self._watched.window):
            self._tell()
        for thread in threads:
            thread.join()
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            told, self._window = self._window, Window(self._window.last, self._window.last)
        print(json.dumps(msgspec.to_builtins(told, str_keys=True)), file=self._out, flush=True)

    def _every(self, seconds: float, look: Callable[[], None]) -> None:
        while not self._over.wait(seconds):
            look()

    def _memory(self) -> None:
        size = resident(self._watched.pid)
        with self._lock:
            window = self._window
            window.first = window.first or size
            window.last, window.peak = size, max(window.peak, size)

    def _health(self) -> None:
        both = str(self._watched.pid), "thread-self"
        began, waited = time.monotonic(), waited_for_a_cpu(*both)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._watched.port, timeout=ANSWER_SECONDS)
            connection.request("GET", "/healthz")
            fine = connection.getresponse().status == http.client.OK
            connection.close()
        except (OSError, http.client.HTTPException):
            fine = False
        waited = waited_for_a_cpu(*both) - waited
        took = max(0.0, time.monotonic() - began - waited) if fine else NEVER
        with self._lock:
            self._window.healthy += fine
            self._window.longest = max(self._window.longest, took)

    def _command_on(self) -> None:
        speaker = Speaker(self._watched.port, self._headers)
        between = THREADS / self._watched.rate
        due = time.monotonic() + random.random() * between
        while not self._over.wait(max(0.0, due - time.monotonic())):
            # Late is late: what was not sent in time is not made up for in a burst.
            due = max(due + between, time.monotonic())
            with self._lock:
                # Others may have watched this server before: their keys are theirs.
                key = f"{self._watched.port}-{os.getpid()}-{next(self._numbers)}"
            self._command(speaker, key)

    def _command(self, speaker: "Speaker", key: str) -> None:
        began, source = time.monotonic(), f"line-{random.randrange(SOURCES)}"
        outcome, position = "unknown", 0
        while time.monotonic() < began + GIVEN_UP_SECONDS:
            status, again, body = speaker.say(source, key)
            if status in (200, 201):
                outcome, position = "ok", json.loads(body)["position"]
                break
            with self._lock:
                if again:
                    self._window.refused += 1
                else:
                    _add(self._window.failed, str(status))
            # A connection that broke is tried again, too: the key says which command it is.
            time.sleep(AGAIN_SECONDS)
        with self._lock:
            self._window.answered += outcome == "ok"
            _add(self._window.milliseconds, round((time.monotonic() - began) * 1_000))
            if self._operations is not None:
                print(key, outcome, position, file=self._operations, flush=True)


def _add(counts: dict[T, int], what: T) -> None:
    counts[what] = counts.get(what, 0) + 1


class Speaker:
    """One connection that is used again and again."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._headers = {**headers, "Content-Type": "application/json"}

    def say(self, source: str, key: str) -> tuple[int, bool, bytes]:
        """Raise an alarm; return the status (0: none), whether to come again, and the body."""
        body = {"source": source, "type": TYPE, "severity": "major", "text": key}
        for fresh in (False, True):
            try:
                return self._ask(json.dumps(body), {**self._headers, "Idempotency-Key": key})
            except (OSError, http.client.HTTPException):
                self._connection.close()
                if fresh:
                    break
        return 0, False, b""

    def _ask(self, body: str, headers: dict[str, str]) -> tuple[int, bool, bytes]:
        self._connection.request("POST", "/v1/alarms", body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.getheader("Retry-After") is not None, answer.read()


def resident(pid: int) -> int:
    """Return a process's memory in KiB; 0: it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)


def waited_for_a_cpu(*tasks: str) -> float:
    """Return for how many seconds these tasks of /proc were ready to run and did not; 0: nobody knows."""
    nanoseconds = 0
    with suppress(OSError):
        for task in tasks:
            nanoseconds += int(Path(f"/proc/{task}/schedstat").read_text(encoding="ascii").split()[1])
    return nanoseconds / 1e9


def main() -> None:
    """Watch what the argument says."""
    watched = msgspec.json.decode(sys.argv[1], type=Watched)
    if watched.operations is None:
        Bystander(watched, sys.stdout, None).run()
        return
    with Path(watched.operations).open("a", encoding="ascii") as operations:
        Bystander(watched, sys.stdout, operations).run()


if __name__ == "__main__":
    main()
