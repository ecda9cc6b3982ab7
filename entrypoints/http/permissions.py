"""Who may call what, as the operations declare it; what none declares is shut."""

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Route

from core.roles import ADMINS, READERS, Roles
from entrypoints.http.operations import Operation, is_guarded

_AREA = 3
"""How many parts of a path name its area: `/v1/alarms` are three, the first is empty."""


class Permissions:
    """The roles of every operation, by method and path."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._declared = {(each.method, each.template): each for each in operations}
        self._places = sorted(
            {
                place
                for each in operations
                for place, part in enumerate(each.template.split("/"))
                if part == "*"
            }
        )
        self._areas = _areas(operations)

    def roles_for(self, method: str, path: str) -> Roles | None:
        """Return which roles may call it; None: everybody, unasked."""
        method = "GET" if method == "HEAD" else method
        operation = self._operation(method, path)
        if operation is not None:
            return operation.roles
        if not is_guarded(path):
            return None
        # What is not there is not told to everybody either.
        return self._areas.get((method, _area(method, path)), READERS if method == "GET" else ADMINS)

    def looks_itself(self, method: str, path: str) -> bool:
        """Tell whether the operation looks for a credential where the header has none."""
        operation = self._declared.get((method, path))
        return operation is not None and operation.credential_in_body

    def check(self, routes: Iterable[BaseRoute]) -> None:
        """Raise ValueError for a route that should be guarded and is no operation's."""
        for route in routes:
            if isinstance(route, Route) and is_guarded(route.path):
                for method in (route.methods or set()) - {"HEAD"}:
                    if self._operation(method, route.path) is None:
                        raise ValueError(f"{method} {route.path} is declared by no operation")

    def _operation(self, method: str, path: str) -> Operation | None:
        found = self._declared.get((method, path))
        if found is not None:
            return found
        parts = path.split("/")
        for place in self._places:
            if place < len(parts) and parts[place]:
                given, parts[place] = parts[place], "*"
                found = self._declared.get((method, "/".join(parts)))
                if found is not None:
                    return found
                parts[place] = given
        return None


def _areas(operations: Iterable[Operation]) -> dict[tuple[str, str], Roles]:
    """Return the roles that all operations of an area share, by method and area."""
    found: dict[tuple[str, str], set[Roles]] = {}
    for each in operations:
        if each.roles:
            found.setdefault((each.method, _area(each.method, each.path)), set()).add(each.roles)
    return {area: next(iter(roles)) for area, roles in found.items() if len(roles) == 1}


def _area(method: str, path: str) -> str:
    """Return the first parts of a path; what takes commands itself says nothing of the paths below it."""
    parts = path.split("/")
    area = "/".join(parts[:_AREA])
    return area if method == "GET" or len(parts) == _AREA else f"{area}/"
