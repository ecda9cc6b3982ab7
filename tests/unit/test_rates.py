"""Token buckets: never more than the burst and the rate allow, never less."""

from hypothesis import given
from hypothesis import strategies as st

from core import rates
from core.rates import Rates, TokenBucket


def test_a_burst_is_taken_at_once_and_then_the_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0, now=10.0)
    assert [bucket.take(1.0, 10.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert [bucket.take(1.0, 10.5) for _ in range(2)] == [0, 0.5]
    assert [bucket.take(1.0, 99.0) for _ in range(4)] == [0, 0, 0, 0.5]


@given(st.lists(st.floats(0.0, 5.0), max_size=60))
def test_a_bucket_gives_no_client_more_than_burst_and_rate(gaps: list[float]) -> None:
    bucket, now, taken = TokenBucket(3.0, 5.0, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(1.0, now) == 0
        assert taken <= 5.0 + 3.0 * now + 1e-6


def test_a_rate_says_how_long_to_wait_for_what_is_missing() -> None:
    bucket = Rates(10, 20)
    assert bucket.take("a", 20, 100.0) == 0
    assert bucket.take("a", 5, 100.0) == 0.5
    assert bucket.take("b", 5, 100.0) == 0
    assert bucket.take("a", 5, 100.5) == 0
    assert bucket.take("a", 20, 1_000.0) == 0
    assert bucket.take("a", 1, 1_000.0) == 0.1


def test_the_rate_not_used_for_longest_is_forgotten() -> None:
    bucket = Rates(1, 1)
    for number in range(rates.NAMES + 1):
        bucket.take(str(number), 1, 0.0)
    assert bucket.take("0", 1, 0.0) == 0
    assert bucket.take(str(rates.NAMES), 1, 0.0) == 1


steps = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), max_size=40)


@given(steps)
def test_all_that_is_taken_stays_within_burst_and_rate(asked: list[tuple[int, int]]) -> None:
    bucket, now, taken = Rates(8, 20), 0.0, 0
    for eighths, tokens in asked:
        now += eighths / 8
        wait = bucket.take("a", tokens, now)
        if wait == 0:
            taken += tokens
        elif tokens <= 20:
            # Whoever comes back after that long is let in.
            now += wait
            assert bucket.take("a", tokens, now) <= 1e-9
            taken += tokens
        assert taken <= 20 + 8 * now + 1e-6
