"""Where the next page of a list starts, as the text that a client sends back."""

import base64
import binascii

import msgspec

from core.lists.query import AlarmQuery, Place
from entrypoints.http.problems import Problem


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The digest of the parameters it belongs to, the place of the last row, and the list's `as_of`."""

    digest: str
    after: list[int | str]
    position: int | None


_decoder = msgspec.json.Decoder(Cursor)


def cursor_text(digest: str, after: Place, position: int | None) -> str:
    """Return the cursor of the page behind `after`."""
    raw = msgspec.json.encode(Cursor(digest, list(after), position))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def cursor_of(text: str, digest: str, query: AlarmQuery) -> Cursor:
    """Return what the text says. Raises Problem 422 if it was not given out for this very list."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        cursor = _decoder.decode(raw)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise Problem(422, "bad_cursor", "this cursor is not one that was given out") from None
    if cursor.digest != digest:
        detail = "this cursor belongs to a list with other filters, another sort or another as_of"
        raise Problem(422, "bad_cursor", detail)
    if not query.order.is_place(cursor.after) or (cursor.position or 0) < 0:
        raise Problem(422, "bad_cursor", "this cursor is not one that was given out")
    return cursor
