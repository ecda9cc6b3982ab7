"""Times are counted in steps: how long each is, and how far a quantile may be off."""

from hypothesis import given
from hypothesis import strategies as st

from core.kpi.bucket import quantile, seconds_of, step_of


@given(st.lists(st.floats(0, 10**6), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_at_most_a_fifth_too_long(times: list[float], share: float) -> None:
    counted: dict[int, int] = {}
    for time in times:
        counted[step_of(time)] = counted.get(step_of(time), 0) + 1
    found = quantile(counted, share)
    exact = sorted(times)[max(0, -(-share * len(times) // 1).__int__() - 1)]
    assert found is not None
    assert exact <= found * (1 + 1e-9)
    assert found <= max(1.0, exact * 2**0.25 * (1 + 1e-9))


def test_each_step_is_a_fifth_longer() -> None:
    assert [round(seconds_of(step), 2) for step in range(5)] == [1.0, 1.19, 1.41, 1.68, 2.0]
