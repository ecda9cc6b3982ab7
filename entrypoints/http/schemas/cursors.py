"""Cursors: the start of a list's next page, as a text that the client sends back."""

import base64
import binascii

import msgspec

from core.lists.query import AlarmQuery, Place
from entrypoints.http.problems import Problem


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The digest of the list's parameters, the place of the last row, and the position of its `as_of`."""

    digest: str
    after: list[int | str]
    position: int | None


_decoder = msgspec.json.Decoder(Cursor)


def cursor_text(digest: str, after: Place, position: int | None) -> str:
    """Return the cursor of the page that follows the place `after`."""
    raw = msgspec.json.encode(Cursor(digest, list(after), position))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def cursor_of(text: str, digest: str, query: AlarmQuery) -> Cursor:
    """Decode a cursor. Raises Problem 422 if it is not from this list."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        cursor = _decoder.decode(raw)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise Problem(422, "bad_cursor", "this is not a cursor from this server") from None
    if cursor.digest != digest:
        detail = "this cursor belongs to a list with other filters, another sort or another as_of"
        raise Problem(422, "bad_cursor", detail)
    if not query.order.is_place(cursor.after) or (cursor.position or 0) < 0:
        raise Problem(422, "bad_cursor", "this is not a cursor from this server")
    return cursor
