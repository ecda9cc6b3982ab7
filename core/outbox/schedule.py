"""Schedules the tries of a row by its receiver's answers (Standard Webhooks, "Deliverability")."""

from datetime import datetime, timedelta

import msgspec

from core.outbox.row import Row, Settlement

SCHEDULE_SECONDS = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
"""How long each try waits after the one before; after the last try the row is dead."""
JITTER = 0.2
"""The largest fraction added to a wait, so that rows that failed together are not retried together."""
RETRY_AFTER_SECONDS = 24 * 3600
"""The longest wait that a receiver can request."""

_SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)
_GONE = 410


class CallResult(msgspec.Struct, frozen=True, gc=False):
    """The result of a call: the HTTP `status`, or the `error` in one line; `retry_after` in seconds."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    seconds: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted the message."""
        return self.error is None and self.status in _SUCCESS

    @property
    def reason(self) -> str | None:
        """Why the message was not delivered, in one line; None if it was."""
        if self.delivered or self.error is not None:
            return self.error
        if self.status in _REDIRECT:
            return f"HTTP {self.status}: redirects are not followed"
        return f"HTTP {self.status}"


def settle(row: Row, answer: CallResult, now: datetime, chance: float) -> Settlement:
    """Return the row's settlement by the answer; `chance` is a random number in [0, 1)."""
    attempts = row.attempts + 1
    settled = msgspec.structs.replace(
        row, attempts=attempts, settled_at=now, status=answer.status, error=answer.reason
    )
    if answer.delivered:
        return Settlement(msgspec.structs.replace(settled, state="delivered", body=b""))
    gone = answer.status == _GONE
    # 410 refuses the whole webhook; its rows may be sent once the webhook is enabled again.
    if attempts >= len(SCHEDULE_SECONDS) and not gone:
        return Settlement(msgspec.structs.replace(settled, state="dead"))
    wait = wait_seconds(attempts, answer.retry_after, chance)
    return Settlement(msgspec.structs.replace(settled, next_at=now + timedelta(seconds=wait)), gone)


def wait_seconds(attempts: int, retry_after: float | None, chance: float) -> float:
    """Return the seconds to wait after the n-th failed try (n = 1, 2, ...)."""
    scheduled = SCHEDULE_SECONDS[min(attempts, len(SCHEDULE_SECONDS) - 1)]
    # The comparison is also false for what is no number.
    requested = min(retry_after, RETRY_AFTER_SECONDS) if retry_after is not None and retry_after > 0 else 0.0
    return max(scheduled, requested) * (1 + JITTER * chance)
