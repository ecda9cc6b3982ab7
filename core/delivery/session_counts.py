"""How many sessions each tenant and subject has in a process, so that none takes all places."""

from collections import Counter
from typing import TypeVar

from core.access.callers import ANYONE, Caller
from core.delivery.limits import Limits

Counted = TypeVar("Counted")


class SessionCounts:
    """Counts the sessions whose clients have proved who they are.

    Where there is no authentication everybody is one tenant and one subject, and only the process's own limit
    holds.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tenants: Counter[str] = Counter()
        self._subjects: Counter[tuple[str, str]] = Counter()

    def refusal(self, caller: Caller) -> str | None:
        """Return why the caller gets no further session; None: it does."""
        if caller == ANYONE:
            return None
        if self._subjects[caller.tenant, caller.subject] >= self._limits.subject_sessions:
            return f"this process serves at most {self._limits.subject_sessions} sessions of one subject"
        if self._tenants[caller.tenant] >= self._limits.tenant_sessions:
            return f"this process serves at most {self._limits.tenant_sessions} sessions of one tenant"
        return None

    def begun(self, caller: Caller) -> None:
        """Count a further session of the caller."""
        self._tenants[caller.tenant] += 1
        self._subjects[caller.tenant, caller.subject] += 1

    def ended(self, caller: Caller) -> None:
        """Count one less, and forget who has none."""
        _count_down(self._tenants, caller.tenant)
        _count_down(self._subjects, (caller.tenant, caller.subject))


def _count_down(counts: Counter[Counted], key: Counted) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
