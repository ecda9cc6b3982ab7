"""Parses a request's header fields once: each lookup in Starlette's `Headers` scans them all."""

from collections.abc import Mapping

from starlette.types import Scope

_FIELDS = "tocsin.fields"


def fields(scope: Scope) -> Mapping[str, str]:
    """Return the fields by name in lower case; repeated fields are joined (RFC 9110 §5.3)."""
    parsed: dict[str, str] | None = scope.get(_FIELDS)
    if parsed is None:
        parsed = scope[_FIELDS] = {}
        for raw_name, raw in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw.decode("latin-1")
            parsed[name] = f"{parsed[name]},{value}" if name in parsed else value
    return parsed
