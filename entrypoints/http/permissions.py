"""Looks up the roles that may call an operation; guarded paths without a declaration stay shut."""

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Route

from core.roles import ADMINS, READERS, Roles
from entrypoints.http.matching import Matched, Matching
from entrypoints.http.operations import Operation, is_guarded

_AREA = 3
"""How many parts of a path name its area: `/v1/alarms` has three, the first of them empty."""


class Permissions:
    """The roles of every operation, by method and path."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._matching = Matching(operations)
        self._areas = _areas(operations)

    def roles_for(self, method: str, path: str) -> Roles | None:
        """Return the roles that may call the method of the path; None: everybody."""
        matched = self.operation_at(method, path)
        if matched is not None:
            return matched.operation.roles
        if not is_guarded(path):
            return None
        # A guarded path does not reveal to everybody that it does not exist.
        method = "GET" if method == "HEAD" else method
        return self._areas.get((method, _area(method, path)), READERS if method == "GET" else ADMINS)

    def operation_at(self, method: str, path: str) -> Matched | None:
        """Return the operation that the method and the path name, None without one; HEAD is as GET."""
        return self._matching.find("GET" if method == "HEAD" else method, path)

    def looks_itself(self, method: str, path: str) -> bool:
        """Return whether the operation looks for a credential itself, if the header has none."""
        matched = self._matching.find(method, path)
        return matched is not None and matched.operation.credential_in_body

    def check(self, routes: Iterable[BaseRoute]) -> None:
        """Raise ValueError for a route on a guarded path that no operation declares."""
        for route in routes:
            if isinstance(route, Route) and is_guarded(route.path):
                for method in (route.methods or set()) - {"HEAD"}:
                    if self._matching.find(method, route.path) is None:
                        raise ValueError(f"{method} {route.path} is declared by no operation")


def _areas(operations: Iterable[Operation]) -> dict[tuple[str, str], Roles]:
    """Return the roles that all operations of an area share, by method and area."""
    found: dict[tuple[str, str], set[Roles]] = {}
    for each in operations:
        if each.roles:
            found.setdefault((each.method, _area(each.method, each.path)), set()).add(each.roles)
    return {area: next(iter(roles)) for area, roles in found.items() if len(roles) == 1}


def _area(method: str, path: str) -> str:
    """Return the area of a path; for methods other than GET, the paths below an area are one of their own."""
    parts = path.split("/")
    area = "/".join(parts[:_AREA])
    return area if method == "GET" or len(parts) == _AREA else f"{area}/"
