from core.delivery.limits import Limits
from core.rates import TokenBucket


def test_all_that_a_client_opens_with_is_within_its_burst() -> None:
    limits = Limits(messages_per_second=1.0, subscriptions=32)
    allowance = TokenBucket(limits.messages_per_second, limits.burst, 0.0)
    assert not any(allowance.take(1.0, 0.0) for _ in range(33))
