"""Computes the wait before a retry."""


def backoff(tries: int, shortest: float, longest: float, chance: float) -> float:
    """Return the seconds to wait after the n-th failed try (n = 1, 2, ...): doubling, bounded, jittered.

    `chance` is a random number in [0, 1): it spreads the retries of many processes.
    """
    return float(min(longest, shortest * 2 ** min(tries, 16)) * chance)
