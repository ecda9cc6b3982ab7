"""Appenders over a replica set that loses answers, fails over and lags: positions 1..n, whatever happens."""

from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from tests.kit.replicas import Violation
from tests.machines.log.appending import World
from tests.machines.log.walking import Walking, goes_wrong, walk

MOVES = 100
SEEDS = 1_000
"""How many random walks every run takes."""

SEEDS_TO_FAIL = 5_000
"""In how many random walks a planted violation has to show."""


class Appending(Walking):
    @initialize(processes=st.integers(2, 3))
    def start(self, processes: int) -> None:
        self.world = World(processes)


TestAppending = Appending.TestCase
TestAppending.settings = settings(stateful_step_count=MOVES)


def walked(seed: int, violation: Violation = "none") -> set[str]:
    return walk(seed, World(2 + seed % 2, violation), MOVES)


def test_nothing_goes_wrong_on_random_walks_through_every_fault() -> None:
    happened = set().union(*(walked(seed) for seed in range(SEEDS)))
    assert happened == {"lost an answer", "landed late", "rolled back"}


@pytest.mark.parametrize("violation", [each for each in get_args(Violation) if each != "none"])
def test_a_planted_violation_is_noticed(violation: Violation) -> None:
    assert goes_wrong(SEEDS_TO_FAIL, lambda seed: walked(seed, violation))
