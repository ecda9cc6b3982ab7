"""Reads a request's Accept, If-Match and If-None-Match (RFC 9110 §12.5.1, §13.1)."""

import re
from collections.abc import Iterator

from starlette.requests import Request

from core.alarm.context import Expected
from entrypoints.http.headers import fields
from entrypoints.http.problems import Problem

# An entity tag needs quotes; but a number without them can only mean a revision.
_ETAG = r'(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"|[0-9]+)'
_TAG = re.compile(_ETAG)
_IF_MATCH = re.compile(rf"[\s,]*{_ETAG}(?:\s*,[\s,]*{_ETAG})*[\s,]*")
# Revisions fit 18 digits; a longer number matches none.
_REVISION_TAG = re.compile(r'"?([1-9][0-9]{0,17})"?')
_NO_WEIGHT = re.compile(r"0(\.0{0,3})?")
_JSON = frozenset({"", "*/*", "application/*", "application/json"})


def check_acceptable(request: Request) -> None:
    """Raise Problem 406 if the client does not accept JSON."""
    accept = fields(request.scope).get("accept")
    if accept is not None and _JSON.isdisjoint(_accepted(accept)):
        raise Problem(406, "not_acceptable", "the answer is application/json")


def accepts(request: Request, media_type: str) -> bool:
    """Return whether Accept names exactly this media type."""
    return media_type in _accepted(fields(request.scope).get("accept", ""))


def _accepted(accept: str) -> Iterator[str]:
    """Yield the media ranges that no weight of 0 rules out."""
    for media_range in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in media_range.split(";"))
        weights = [part[2:] for part in parameters if part.startswith("q=")]
        if not weights or _NO_WEIGHT.fullmatch(weights[0]) is None:
            yield kind


def expected(request: Request) -> Expected | None:
    """Return the revisions that If-Match names; a weak validator matches none. Raises Problem 422."""
    header = fields(request.scope).get("if-match")
    if header is None:
        return None
    text = header.strip()
    if text == "*":
        return "any"
    if not _IF_MATCH.fullmatch(text):
        raise Problem(422, "invalid", 'If-Match must be * or a list of revisions in quotes: "3"')
    named = (_REVISION_TAG.fullmatch(tag) for tag in _TAG.findall(text))
    return frozenset(int(revision[1]) for revision in named if revision is not None)


def knows(request: Request, etag: str) -> bool:
    """Return whether If-None-Match names the tag, compared weakly."""
    header = fields(request.scope).get("if-none-match")
    if header is None:
        return False
    tags = [each.strip() for each in header.split(",")]
    return "*" in tags or etag in {each.removeprefix("W/") for each in tags}
