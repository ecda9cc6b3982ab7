from hypothesis import given
from hypothesis import strategies as st

from core.delivery.limits import Allowance, Limits


def test_a_burst_is_taken_at_once_and_then_the_rate() -> None:
    allowance = Allowance(rate=2.0, burst=3.0, now=10.0)
    assert [allowance.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.take(10.5) for _ in range(2)] == [True, False]
    assert [allowance.take(99.0) for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.floats(0.0, 5.0), max_size=60))
def test_no_client_is_allowed_more_than_burst_and_rate(gaps: list[float]) -> None:
    allowance, now, taken = Allowance(3.0, 5.0, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        taken += allowance.take(now)
        assert taken <= 5.0 + 3.0 * now + 1e-6


def test_all_that_a_client_opens_with_is_within_its_burst() -> None:
    limits = Limits(messages_per_second=1.0, subscriptions=32)
    allowance = Allowance(limits.messages_per_second, limits.burst, 0.0)
    assert all(allowance.take(0.0) for _ in range(33))
