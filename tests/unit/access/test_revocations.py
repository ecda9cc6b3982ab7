from datetime import UTC, datetime, timedelta

import pytest

from core.access.callers import Caller
from core.access.revocations import OVERLAP, Kind, Revocation, Revocations
from core.errors import Unauthenticated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def revoked(
    name: str, at: datetime = NOW, kind: Kind = "subject", subject: str = "ann", *, lasting: bool = True
) -> Revocation:
    return Revocation(id=name, kind=kind, tenant="default", subject=subject, at=at, lasting=lasting)


def caller(issued_at: datetime | None = NOW, tenant: str = "default", key_id: str | None = None) -> Caller:
    return Caller(tenant=tenant, subject="ann", roles=frozenset(), issued_at=issued_at, key_id=key_id)


def is_refused(known: Revocations, who: Caller) -> bool:
    try:
        known.check(who)
    except Unauthenticated:
        return True
    return False


def test_each_revocation_is_new_once() -> None:
    known, rows = Revocations(), [revoked("1"), revoked("2")]
    assert list(known.take(rows)) == rows
    assert list(known.take([*rows, revoked("3")])) == [revoked("3")]


def test_a_revocation_that_comes_late_is_taken_too() -> None:
    known = Revocations()
    known.take([revoked("2", NOW)])
    late = revoked("1", NOW - OVERLAP / 2)
    assert known.after == NOW - OVERLAP
    assert list(known.take([late])) == [late]
    assert list(known.take([late, revoked("2", NOW)])) == []


def test_only_revocations_that_may_come_again_are_remembered() -> None:
    known = Revocations()
    for number in range(1_000):
        known.take([revoked(str(number), NOW + number * OVERLAP)])
    assert len(known._taken) <= 2


@pytest.mark.parametrize(
    ("issued_at", "refused"),
    [(None, True), (NOW - SECOND, True), (NOW, True), (NOW + SECOND, False)],
)
def test_tokens_issued_before_the_revocation_are_refused(
    issued_at: datetime | None, *, refused: bool
) -> None:
    known = Revocations()
    known.take([revoked("2"), revoked("1", NOW - SECOND)])
    assert is_refused(known, caller(issued_at)) is refused
    assert not is_refused(known, caller(issued_at, tenant="other"))


def test_a_disconnect_refuses_no_token() -> None:
    known = Revocations()
    known.take([revoked("1", lasting=False)])
    assert not is_refused(known, caller())


def test_a_key_stays_revoked() -> None:
    known = Revocations()
    known.take([revoked("1", kind="key", subject="k1")])
    assert is_refused(known, caller(NOW + SECOND, key_id="k1"))
    assert not is_refused(known, caller(key_id="k2"))
