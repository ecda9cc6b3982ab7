"""Finds the operation that a method and a path name, in one lookup or two."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from entrypoints.http.operations import Operation


class Matched(NamedTuple):
    """An operation, and the values of the parameters in its path by name."""

    operation: Operation
    parameters: Mapping[str, str]


class Matching:
    """The operations by method and path; a path has one parameter at most, which is one part of it."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        with_one = [each for each in operations if each.path_parameters]
        # Apart: a client may send the star that stands for a parameter.
        self._plain = {
            (each.method, each.path): Matched(each, {}) for each in operations if each not in with_one
        }
        self._with_one = {(each.method, each.template): (each, each.path_parameters[0]) for each in with_one}
        self._places = sorted({each.template.split("/").index("*") for each in with_one})

    def find(self, method: str, path: str) -> Matched | None:
        """Return the operation; None: there is none."""
        matched = self._plain.get((method, path))
        return self._find_with_one(method, path) if matched is None else matched

    def _find_with_one(self, method: str, path: str) -> Matched | None:
        parts = path.split("/")
        for place in self._places:
            if place < len(parts) and parts[place]:
                part, parts[place] = parts[place], "*"
                found = self._with_one.get((method, "/".join(parts)))
                if found is not None:
                    operation, name = found
                    return Matched(operation, {name: part})
                parts[place] = part
        return None
