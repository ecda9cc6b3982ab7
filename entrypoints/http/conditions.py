"""What a request says about its answer: Accept, If-Match and If-None-Match (RFC 9110 §12.5.1, §13.1)."""

import re
from collections.abc import Iterator

from starlette.requests import Request

from core.alarm.context import Expected
from entrypoints.http.headers import fields
from entrypoints.http.problems import Problem

# Without the quotes it is no entity tag; but who leaves them out at a number means nothing else by it.
_ETAG = r'(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"|[0-9]+)'
_TAG = re.compile(_ETAG)
_IF_MATCH = re.compile(rf"[\s,]*{_ETAG}(?:\s*,[\s,]*{_ETAG})*[\s,]*")
# Revisions fit 18 digits by far; a longer number is no revision, and so no match.
_REVISION_TAG = re.compile(r'"?([1-9][0-9]{0,17})"?')
_NO_WEIGHT = re.compile(r"0(\.0{0,3})?")
_JSON = frozenset({"", "*/*", "application/*", "application/json"})


def check_acceptable(request: Request) -> None:
    """Raise Problem 406 where the client takes no JSON."""
    given = fields(request.scope).get("accept")
    if given is not None and _JSON.isdisjoint(_accepted(given)):
        raise Problem(406, "not_acceptable", "the answer is application/json")


def accepts(request: Request, media_type: str) -> bool:
    """Tell whether Accept names this very media type."""
    return media_type in _accepted(fields(request.scope).get("accept", ""))


def _accepted(given: str) -> Iterator[str]:
    """Yield the media ranges that are not ruled out by a weight of 0."""
    for media_range in given.split(","):
        kind, *parameters = (part.strip().lower() for part in media_range.split(";"))
        weights = [part[2:] for part in parameters if part.startswith("q=")]
        if not weights or _NO_WEIGHT.fullmatch(weights[0]) is None:
            yield kind


def expected(request: Request) -> Expected | None:
    """Return the revisions that If-Match names; a weak validator matches none. Raises Problem 422."""
    given = fields(request.scope).get("if-match")
    if given is None:
        return None
    text = given.strip()
    if text == "*":
        return "any"
    if not _IF_MATCH.fullmatch(text):
        raise Problem(422, "invalid", 'If-Match must be * or a list of revisions in quotes: "3"')
    named = (_REVISION_TAG.fullmatch(tag) for tag in _TAG.findall(text))
    return frozenset(int(revision[1]) for revision in named if revision is not None)


def knows(request: Request, etag: str) -> bool:
    """Tell whether If-None-Match names the tag, compared weakly."""
    given = fields(request.scope).get("if-none-match")
    if given is None:
        return False
    tags = [each.strip() for each in given.split(",")]
    return "*" in tags or etag in {each.removeprefix("W/") for each in tags}
