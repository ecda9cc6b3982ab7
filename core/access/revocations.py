"""Revocations of API keys, and of a subject's sessions and tokens."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from core.access.callers import Caller
from core.errors import Unauthenticated

OVERLAP = timedelta(minutes=10)
"""How far before the newest known revocation to read: clocks differ, commits overtake each other."""

Kind = Literal["key", "subject"]


class Revocation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A revocation, recorded at `at` by the database's clock.

    `kind` key: `subject` is the id of an API key, which is refused from now on. `kind` subject: the subject's
    sessions end; if `lasting`, tokens issued up to `at` are refused as well.
    """

    id: str
    kind: Kind
    tenant: str
    subject: str
    at: datetime
    reason: str = ""
    lasting: bool = False

    def concerns(self, caller: Caller) -> bool:
        """Tell whether the revocation is about the caller."""
        if self.tenant != caller.tenant:
            return False
        return self.subject == (caller.key_id if self.kind == "key" else caller.subject)


class Revocations:
    """The revocations that a process knows: each is taken once, and the lasting ones stay."""

    def __init__(self) -> None:
        self._taken: dict[str, datetime] = {}
        self._keys: set[str] = set()
        self._since: dict[tuple[str, str], datetime] = {}
        self._newest: datetime | None = None

    @property
    def after(self) -> datetime | None:
        """The time from which unknown revocations may exist; None: from the beginning."""
        return None if self._newest is None else self._newest - OVERLAP

    def take(self, revocations: Iterable[Revocation]) -> Sequence[Revocation]:
        """Take the revocations; return the new ones."""
        fresh = [each for each in revocations if each.id not in self._taken]
        for each in fresh:
            self._taken[each.id] = each.at
            self._newest = max(self._newest or each.at, each.at)
            if each.kind == "key":
                self._keys.add(each.subject)
            elif each.lasting:
                subject = (each.tenant, each.subject)
                self._since[subject] = max(self._since.get(subject, each.at), each.at)
        if fresh and self._newest is not None:
            kept_from = self._newest - OVERLAP
            self._taken = {name: at for name, at in self._taken.items() if at >= kept_from}
        return fresh

    def check(self, caller: Caller) -> None:
        """Raise Unauthenticated if the caller's API key or token was revoked."""
        if caller.key_id is not None and caller.key_id in self._keys:
            raise Unauthenticated("revoked", "the API key was revoked")
        since = self._since.get((caller.tenant, caller.subject))
        # A token without a time of issue may be older than the revocation.
        if since is not None and (caller.issued_at is None or caller.issued_at <= since):
            raise Unauthenticated("revoked", "the subject's tokens were revoked")
