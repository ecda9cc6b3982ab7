"""The kit's child processes and ports: started, paused, ended, and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.ports import free_port
from tests.kit.processes import REPOSITORY, Process, ProcessFailed
from tests.kit.waiting import wait_until


def shell(script: str, tmp_path: Path) -> Process:
    return Process("shell", ["/bin/sh", "-c", script], tmp_path / "output")


def test_a_process_that_ends_too_early_shows_what_it_said(tmp_path: Path) -> None:
    with (
        shell("echo out of oil; exit 3", tmp_path) as process,
        pytest.raises(ProcessFailed, match=r"status 3 before .*ready(.|\n)*out of oil"),
    ):
        process.wait_for_line("ready")


def test_only_lines_of_the_latest_start_count(tmp_path: Path) -> None:
    with shell("echo $$ ready; exec sleep 60", tmp_path) as process:
        first = process.wait_for_line(r"(\d+) ready")[1]
        process.kill()
        process.start()
        assert process.wait_for_line(r"(\d+) ready")[1] != first


def test_a_process_that_does_not_end_is_killed_and_reported(tmp_path: Path) -> None:
    with shell("trap '' TERM; echo ready; while :; do sleep 0.1; done", tmp_path) as process:
        process.wait_for_line("ready")
        with pytest.raises(ProcessFailed, match="did not end within"):
            process.terminate(0.3)
        assert process.returncode == -signal.SIGKILL


def test_a_paused_process_can_be_terminated(tmp_path: Path) -> None:
    with shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done", tmp_path) as process:
        process.wait_for_line("ready")
        process.pause()
        assert process.paused
        assert process.terminate() == 7


PARENT = """
import os, sys
from pathlib import Path
from tests.kit.processes import Process

process = Process("sleep", ["/bin/sh", "-c", "echo ready; exec sleep 60"], Path(sys.argv[1]))
process.start()
# Before that, its leash would notice by itself that the parent is gone.
process.wait_for_line("ready")
print(process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_nothing_outlives_a_killed_pytest(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "output")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.kill()
    wait_until("the child is gone", lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_port_is_given_out_once() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) == 20
    other = "from tests.kit.ports import _hold; import sys; print(*(_hold(int(p)) for p in sys.argv[1:]))"
    held = subprocess.run(
        [sys.executable, "-c", other, *map(str, ports)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(held.stdout.split()) == {"False"}
