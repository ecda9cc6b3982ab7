"""Declares each route once, beside its handler; router, guard and documents are derived."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.roles import Roles

Endpoint = Callable[[Request], Awaitable[Response]]

GUARDED = ("/v1", "/v2", "/metrics")
"""Every route at or below these paths names the roles that may call it."""
AWAY = ("unavailable",)
BODY = (
    "malformed_json",
    "incomplete_body",
    "body_too_slow",
    "body_too_large",
    "unsupported_media_type",
    "invalid",
)

_BELOW = tuple(f"{root}/" for root in GUARDED)
_PARAMETER = re.compile(r"\{(\w+)\}")


def is_guarded(path: str) -> bool:
    """Return whether callers of the path must authenticate."""
    return path in GUARDED or path.startswith(_BELOW)


class Media(msgspec.Struct, frozen=True):
    """The media types of an answer that is not JSON."""

    types: tuple[str, ...]


class Described(msgspec.Struct, frozen=True):
    """A body or an answer without a type: its name, its JSON Schema, and the types that the schema names."""

    name: str
    schema: dict[str, Any]
    parts: tuple[type[msgspec.Struct], ...] = ()


class Details(TypedDict, total=False):
    """The optional parts of an operation.

    `parameters`: the type of its query. `body`: the type of its JSON; `optional`: the body may be left out.
    `codes`: its problems, besides those of every operation. `headers`: those that it reads. `media`: other
    media types of its answers. `credential_in_body`: if the header has no credential, its endpoint looks for
    one in the body.
    """

    parameters: type[msgspec.Struct]
    body: Any
    optional: bool
    codes: tuple[str, ...]
    headers: tuple[str, ...]
    media: tuple[str, ...]
    credential_in_body: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path, and its endpoint; see Details.

    `roles`: the roles that may call it; None: everybody. `answers`: their types by status; None: no body.
    `ids`: the schemas of the parameters in its path.
    """

    method: str
    path: str
    id: str
    tag: str
    summary: str
    endpoint: Endpoint
    roles: Roles | None
    answers: Mapping[int, Any]
    ids: Mapping[str, Mapping[str, Any]]
    parameters: type[msgspec.Struct] | None = None
    body: Any = None
    optional: bool = False
    codes: tuple[str, ...] = AWAY
    headers: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    credential_in_body: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError if the roles don't fit the path, or a path parameter has no schema."""
        if is_guarded(self.path) != bool(self.roles):
            raise ValueError(f"{self.method} {self.path} needs roles, or a path that is for everybody")
        if unknown := [name for name in self.path_parameters if name not in self.ids]:
            raise ValueError(f"{self.path} has parameters without a schema: {', '.join(unknown)}")

    @property
    def path_parameters(self) -> list[str]:
        """The names of the parameters in the path."""
        return _PARAMETER.findall(self.path)

    @property
    def template(self) -> str:
        """The path with `*` for each of its parameters."""
        return _PARAMETER.sub("*", self.path)


@dataclass(frozen=True, slots=True)
class Routes:
    """The operations of one file, in the order of their declarations, with their common tag and ids."""

    tag: str
    ids: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _declared: list[Operation] = field(default_factory=list)

    def declare(  # noqa: PLR0913 (what every operation has)
        self,
        method: str,
        path: str,
        name: str,
        summary: str,
        *,
        roles: Roles | None,
        answers: Mapping[int, Any],
        **details: Unpack[Details],
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare an operation that the decorated function answers; `name` is unique in the API."""

        def declared(endpoint: Endpoint) -> Endpoint:
            operation = Operation(
                method=method,
                path=path,
                id=name,
                tag=self.tag,
                summary=summary,
                endpoint=endpoint,
                roles=roles,
                answers=answers,
                ids=self.ids,
                **details,
            )
            self._declared.append(operation)
            return endpoint

        return declared

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._declared)


def routed(operations: Iterable[Operation]) -> list[Route]:
    """Return the operations as Starlette's routes."""
    return [Route(each.path, each.endpoint, methods=[each.method]) for each in operations]
