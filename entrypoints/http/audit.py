"""Records what administrators do, and what others try in their place: a line each, by `tocsin.audit`."""

from collections.abc import Awaitable
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from core.access.callers import Caller
from core.roles import ADMINS
from entrypoints.http.operations import Operation
from entrypoints.http.problems import problem_code

LOGGER = "tocsin.audit"
"""The logger, which `tocsin --log-level` leaves as it is."""
FIELD_LENGTH = 512
"""How many characters of the object are recorded: a stranger's path may be long."""

_CONCERNED = "tocsin.audit"
_SAFE = frozenset({"GET", "HEAD"})
_REFUSED = 403
_ERRORS = 400

_Ended = tuple[int, str | None]

logger = structlog.stdlib.get_logger(LOGGER)


def is_audited(operation: Operation) -> bool:
    """Return whether only administrators may call the operation, and it changes or calls something."""
    return operation.roles == ADMINS and operation.method not in _SAFE


def concern(request: Request, named: str, **details: Any) -> None:
    """Say what the request is about, for its line, where its path does not; `details`: more fields."""
    request.scope[_CONCERNED] = {"object": named, **details}


async def recorded(
    scope: Scope, caller: Caller, operation: Operation, answer: Awaitable[Response]
) -> Response:
    """Wait for the operation's answer and record it, also if it fails or is given up."""
    ended: _Ended = (500, "internal")
    try:
        response = await answer
        ended = response.status_code, problem_code(response)
    finally:
        named = next(iter(scope["path_params"].values()), None)
        _write(scope, caller, operation, ended, {"object": named} | scope.get(_CONCERNED, {}))
    return response


def refused(scope: Scope, caller: Caller, operation: Operation, named: str | None) -> None:
    """Record that the caller's roles do not allow the operation, if it is for administrators alone."""
    if operation.roles == ADMINS:
        _write(scope, caller, operation, (_REFUSED, "forbidden"), {"object": named})


def _write(scope: Scope, caller: Caller, operation: Operation, ended: _Ended, about: dict[str, Any]) -> None:
    status, code = ended
    client, named = scope.get("client"), about.pop("object")
    logger.info(
        "audit",
        action=operation.id,
        tenant=caller.tenant,
        subject=caller.subject,
        object=None if named is None else named[:FIELD_LENGTH],
        remote=client[0] if client else None,
        outcome=_outcome(status),
        status=status,
        code=code,
        **about,
    )


def _outcome(status: int) -> str:
    if status == _REFUSED:
        return "refused"
    return "done" if status < _ERRORS else "failed"
