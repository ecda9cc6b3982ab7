"""A process under a supervisor ends with it: by the kernel's word on Linux, elsewhere by a pipe."""

import signal
import subprocess
import sys

import pytest

from tests.kit.processes import REPOSITORY

SECONDS = 30.0

BY_PIPE = """
import threading
from entrypoints.cli.child import watch_pipe
watch_pipe(0)
print("running", flush=True)
threading.Event().wait()
"""


def test_the_end_of_the_pipe_ends_a_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BY_PIPE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"running\n"
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(SECONDS) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the pipe tells")
def test_a_process_whose_supervisor_is_gone_does_not_begin() -> None:
    command = [sys.executable, "-m", "entrypoints.cli.child", "1", "--version"]
    done = subprocess.run(command, capture_output=True, check=False, cwd=REPOSITORY, timeout=SECONDS)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"the supervisor ended" in done.stderr
