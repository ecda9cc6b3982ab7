"""Configures logging: readable lines on a terminal, JSON elsewhere."""

import logging
import sys

import structlog
from structlog.typing import Processor

from entrypoints.http.audit import LOGGER as AUDIT
from entrypoints.process.settings import LogFormat, LogLevel

QUIET = ("uvicorn.error", "uvicorn.access", "websockets", "httpx", "httpcore", "pymongo")
"""Loggers whose info messages operators don't need, such as a line for each accepted WebSocket."""


def configure_logs(form: LogFormat = "auto", level: LogLevel = "info") -> None:
    """Send all log messages of this process to standard error, one line each."""
    pretty = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(pretty=pretty),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Who did what is recorded whatever else is not.
    logging.getLogger(AUDIT).setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _rendering(*, pretty: bool) -> list[Processor]:
    if pretty:
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
