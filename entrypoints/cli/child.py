"""`python -m entrypoints.cli.child PID ...` is `tocsin ...`, and ends when the supervisor PID does."""

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1
STDIN = 0


def die_with(supervisor: int) -> None:
    """Kill this process when its supervisor ends, however it ends; exit if that has happened already.

    A child that outlived it would go on serving beside those of the next supervisor, and nobody would end it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        watch_pipe(STDIN)
    if os.getppid() != supervisor:
        sys.exit("the supervisor ended before its process began")


def watch_pipe(descriptor: int) -> None:
    """Kill this process once nobody holds the writing end of a pipe any more."""

    def watch() -> None:
        while os.read(descriptor, 1):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()


if __name__ == "__main__":
    die_with(int(sys.argv.pop(1)))
    # Only now: importing it takes a while, in which the supervisor may end.
    from entrypoints.cli.main import main

    main()
