"""A row of the outbox: one event on its way to one webhook."""

from datetime import datetime
from typing import Literal

import msgspec

POSITION_DIGITS = 18
"""How many digits the position in a row's id may have."""

ERROR_LENGTH = 200
"""How many characters of an error a row keeps."""
UNRENDERED = "its event could not be rendered"
"""How the error of a row without a body begins."""

RowState = Literal["pending", "delivered", "dead"]


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The event at `position` for `webhook`; the pair is unique.

    `body` is the same on every try (b"" once delivered). `next_at`: the earliest time of the next try.
    `settled_at`, `status` (HTTP) and `error` are those of the latest try. `revived_at`: when it was last made
    pending again.
    """

    position: int
    webhook: str
    tenant: str
    alarm_id: str
    event_id: str
    type: str
    body: bytes
    trace: str | None = None
    state: RowState = "pending"
    attempts: int = 0
    routed_at: datetime
    next_at: datetime
    settled_at: datetime | None = None
    status: int | None = None
    error: str | None = None
    revived_at: datetime | None = None

    @property
    def unrendered(self) -> bool:
        """Whether the row has no body that could be sent."""
        return self.state == "dead" and (self.error or "").startswith(UNRENDERED)

    @property
    def id(self) -> str:
        """The row's id; it starts with the position, so that ids tell which row is older."""
        return f"{self.position}:{self.webhook}"


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a try: the row afterwards, and whether the receiver answered 410 (Gone)."""

    row: Row
    disables: bool = False


def parse_row_id(text: str) -> tuple[int, str] | None:
    """Return the position and the webhook of a row's id, None if the text is no such id."""
    position, colon, webhook = text.partition(":")
    if (
        not colon
        or not webhook
        or not (position.isascii() and position.isdigit())
        or len(position) > POSITION_DIGITS
    ):
        return None
    return int(position), webhook
