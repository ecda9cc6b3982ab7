from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.outbox.schedule import (
    JITTER,
    RETRY_AFTER_SECONDS,
    SCHEDULE_SECONDS,
    CallResult,
    settle,
    wait_seconds,
)
from tests.kit.outgoing import NOON, row

HOUR = 3600


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    hours = [seconds / HOUR for seconds in SCHEDULE_SECONDS[4:]]
    assert SCHEDULE_SECONDS[:4] == (0, 5, 300, 1800)
    assert hours == [2, 5, 10, 14, 20, 24]


def test_a_row_that_always_fails_is_tried_ten_times_and_then_dead() -> None:
    current, now = row(1), NOON
    waits = []
    while current.state == "pending":
        before = now
        current = settle(current, CallResult(status=500), now, 0.0).row
        now = current.next_at
        waits.append((now - before).total_seconds())
    assert current.state == "dead"
    assert current.attempts == 10
    assert waits[:-1] == list(SCHEDULE_SECONDS[1:])
    assert current.error == "HTTP 500"
    assert current.body, "a dead row can be sent again"


@given(st.integers(1, 20), st.none() | st.floats(), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_within_its_bounds(attempts: int, asked: float | None, chance: float) -> None:
    wait = wait_seconds(attempts, asked, chance)
    usual = SCHEDULE_SECONDS[min(attempts, 9)]
    assert wait >= usual
    assert not (asked is not None and wait < min(asked, RETRY_AFTER_SECONDS))
    assert wait <= max(usual, RETRY_AFTER_SECONDS) * (1 + JITTER)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_row_that_was_taken_is_delivered_and_its_body_forgotten(status: int) -> None:
    settled = settle(row(1), CallResult(status=status), NOON, 0.5)
    assert (settled.row.state, settled.row.body, settled.row.error) == ("delivered", b"", None)
    assert not settled.disables


@pytest.mark.parametrize("status", [100, 199, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_a_row_that_was_not_taken_is_tried_again(status: int) -> None:
    settled = settle(row(1), CallResult(status=status), NOON, 0.0)
    assert (settled.row.state, settled.row.next_at) == ("pending", NOON + timedelta(seconds=5))
    assert str(status) in (settled.row.error or "")
    assert not settled.disables


def test_an_error_is_a_failure_even_after_a_good_status() -> None:
    assert settle(row(1), CallResult(status=200, error="cut off"), NOON, 0.0).row.state == "pending"


def test_an_answer_of_410_disables_the_webhook_and_keeps_the_row_even_on_its_last_try() -> None:
    settled = settle(row(1, attempts=9), CallResult(status=410), NOON, 0.0)
    assert settled.disables
    assert settled.row.state == "pending"


def test_retry_after_lengthens_a_wait_and_never_shortens_one() -> None:
    assert wait_seconds(1, 90, 0.0) == 90
    assert wait_seconds(2, 90, 0.0) == 300
