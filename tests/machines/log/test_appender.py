"""Appenders over a replica set that loses answers, fails over and lags: positions 1..n, whatever happens."""

from random import Random
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.kit.replicas import Violation
from tests.machines.log.appending import World

MOVES = 100
SEEDS = 1_000
"""How many random walks every run takes."""

SEEDS_TO_FAIL = 5_000
"""In how many random walks a planted violation has to show."""


class Appending(RuleBasedStateMachine):
    world: World

    @initialize(processes=st.integers(2, 3))
    def start(self, processes: int) -> None:
        self.world = World(processes)

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        self.world.move(lambda options: data.draw(st.sampled_from(options)))

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.come_to_rest()
        finally:
            self.world.close()


TestAppending = Appending.TestCase
TestAppending.settings = settings(stateful_step_count=MOVES)


def walk(seed: int, violation: Violation = "none") -> set[str]:
    """Take random moves; return what of note has happened."""
    random = Random(seed)
    world = World(2 + seed % 2, violation)
    try:
        for _ in range(MOVES):
            world.move(random.choice)
            world.check()
        world.come_to_rest()
    finally:
        world.close()
    return world.happened


def test_nothing_goes_wrong_on_random_walks_through_every_fault() -> None:
    happened = set().union(*(walk(seed) for seed in range(SEEDS)))
    assert happened == {"lost an answer", "landed late", "rolled back"}


@pytest.mark.parametrize("violation", [each for each in get_args(Violation) if each != "none"])
def test_a_planted_violation_is_noticed(violation: Violation) -> None:
    for seed in range(SEEDS_TO_FAIL):
        try:
            walk(seed, violation)
        except AssertionError:
            return
    pytest.fail("it was not")
