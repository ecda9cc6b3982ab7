"""What a route is declared with, beside its handler: router, guard and documents are derived from it."""

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
"""Below these nothing is for everybody: each route names the roles that may call it."""
AWAY = ("unavailable",)
BODY = ("malformed_json", "incomplete_body", "body_too_large", "unsupported_media_type", "invalid")

_BELOW = tuple(f"{root}/" for root in GUARDED)
_PARAMETER = re.compile(r"\{(\w+)\}")


def is_guarded(path: str) -> bool:
    """Tell whether callers have to prove who they are there."""
    return path in GUARDED or path.startswith(_BELOW)


class Media(msgspec.Struct, frozen=True):
    """An answer that is no JSON: its media types."""

    types: tuple[str, ...]


class Described(msgspec.Struct, frozen=True):
    """A body or an answer without a type of its own: its name, its JSON Schema, and what that refers to."""

    name: str
    schema: dict[str, Any]
    parts: tuple[type[msgspec.Struct], ...] = ()


class Details(TypedDict, total=False):
    """What an operation may have besides what each has.

    `parameters`: of its query. `body`: what it takes as JSON, `optional`: it may be left out. `codes`: its
    problems, beside those of every operation. `headers`: what it looks at. `media`: in which other types its
    answers come. `credential_in_body`: it looks itself for one there where the header has none.
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
    """One method of one path, and what answers it; see Details.

    `roles`: who may call it; None: everybody. `answers`: what it gives, by status; None: no body. `ids`: the
    schemas of the parameters in its path.
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
        """Refuse what would let everybody in, or nobody knows the form of."""
        if is_guarded(self.path) != bool(self.roles):
            raise ValueError(f"{self.method} {self.path} needs roles, or a path that is for everybody")
        if unknown := [name for name in self.path_parameters if name not in self.ids]:
            raise ValueError(f"{self.path} has parameters of no known form: {', '.join(unknown)}")

    @property
    def path_parameters(self) -> list[str]:
        """The names in the path that stand for something."""
        return _PARAMETER.findall(self.path)

    @property
    def template(self) -> str:
        """The path with `*` for each of its parameters."""
        return _PARAMETER.sub("*", self.path)


@dataclass(frozen=True, slots=True)
class Routes:
    """The operations of one file, in the order of their declarations, and what they have in common."""

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
        """Declare what the decorated function answers; `name` is unique in the whole API."""

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
    """Return what Starlette's router takes."""
    return [Route(each.path, each.endpoint, methods=[each.method]) for each in operations]
