"""Running a command's coroutine: on uvloop where there is one; an error of ours is one line and a code."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from core.errors import TocsinError
from entrypoints.cli.printing import err

T = TypeVar("T")

REFUSED = 2
"""The exit code of a process that must not start, or of a command that could not be carried out."""
INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end and return what it returns. Raises typer.Exit when it fails or is interrupted."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except TocsinError as error:
        raise refused(error) from None
    except ExceptionGroup as group:
        # What the parts of a process raise comes out of its task group wrapped, even if it is only one.
        alone = _only(group)
        if not isinstance(alone, TocsinError):
            raise
        raise refused(alone) from None


def finish(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run to the end and exit with the code that it returns."""
    raise typer.Exit(run(work))


def refused(error: TocsinError) -> typer.Exit:
    """Print why something could not be done; return the exit to raise."""
    err.print(f"tocsin: {error}", style="red", markup=False, soft_wrap=True)
    return typer.Exit(REFUSED)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's event loops, where there is a uvloop for this platform."""
    try:
        import uvloop  # noqa: PLC0415 (an optional dependency)
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


def _only(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
