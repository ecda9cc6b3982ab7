"""What was taken back before its time: API keys, and all that a subject had."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from core.access.callers import Caller
from core.errors import Unauthenticated

OVERLAP = timedelta(minutes=10)
"""How far behind the newest one known others are looked for: clocks differ, commits overtake each other."""

Kind = Literal["key", "subject"]


class Revocation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One that was recorded at `at`, by the database's clock.

    `kind` key: `subject` is the id of an API key, which is refused from now on. `kind` subject: the subject's
    sessions end; with `lasting` tokens that were issued up to `at` are refused as well.
    """

    id: str
    kind: Kind
    tenant: str
    subject: str
    at: datetime
    reason: str = ""
    lasting: bool = False

    def concerns(self, caller: Caller) -> bool:
        """Tell whether the caller is the one it is about."""
        if self.tenant != caller.tenant:
            return False
        return self.subject == (caller.key_id if self.kind == "key" else caller.subject)


class Revocations:
    """Those that a process knows: each is taken once, and the lasting ones stay."""

    def __init__(self) -> None:
        self._taken: dict[str, datetime] = {}
        self._keys: set[str] = set()
        self._since: dict[tuple[str, str], datetime] = {}
        self._newest: datetime | None = None

    @property
    def after(self) -> datetime | None:
        """From when on there may be some that are not known; None: from the beginning."""
        return None if self._newest is None else self._newest - OVERLAP

    def take(self, revocations: Iterable[Revocation]) -> Sequence[Revocation]:
        """Take note of them; return those that are new."""
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
        """Raise Unauthenticated if what the caller came with was taken back."""
        if caller.key_id is not None and caller.key_id in self._keys:
            raise Unauthenticated("revoked", "the API key was revoked")
        since = self._since.get((caller.tenant, caller.subject))
        # Who does not tell when it was issued may have been given it before.
        if since is not None and (caller.issued_at is None or caller.issued_at <= since):
            raise Unauthenticated("revoked", "the subject's tokens were revoked")
