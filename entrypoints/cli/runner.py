"""Runs a command's coroutine, on uvloop if installed; turns a TocsinError into one line and an exit code."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from core.errors import TocsinError
from entrypoints.cli.printing import err

T = TypeVar("T")

REFUSED = 2
"""The exit code of a process that must not start, or of a command that failed."""
INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine and return its result. Raises typer.Exit when it fails or is interrupted."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except TocsinError as error:
        raise refused(error) from None
    except ExceptionGroup as group:
        # A process's task group wraps even a single error.
        single = _only(group)
        if not isinstance(single, TocsinError):
            raise
        raise refused(single) from None


def finish(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run the coroutine and exit with the code that it returns."""
    raise typer.Exit(run(work))


def refused(error: TocsinError) -> typer.Exit:
    """Print the error; return the exit to raise."""
    err.print(f"tocsin: {error}", style="red", markup=False, soft_wrap=True)
    return typer.Exit(REFUSED)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the factory of uvloop's event loops; None: uvloop is not installed."""
    try:
        import uvloop  # noqa: PLC0415 (an optional dependency)
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


def _only(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
