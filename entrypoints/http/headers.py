"""The header fields of a request, taken apart once: each lookup in Starlette's `Headers` goes through all."""

from collections.abc import Mapping

from starlette.types import Scope

_FIELDS = "tocsin.fields"


def fields(scope: Scope) -> Mapping[str, str]:
    """Return the fields by name in lower case; what came several times is joined (RFC 9110 §5.3)."""
    found: dict[str, str] | None = scope.get(_FIELDS)
    if found is None:
        found = scope[_FIELDS] = {}
        for raw_name, raw in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw.decode("latin-1")
            found[name] = f"{found[name]},{value}" if name in found else value
    return found
