"""Processes that forward their events to one appender, or to several: positions 1..n, whatever happens."""

from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.machines.log.forwarding import ForwardingWorld

MOVES = 150
SEEDS = 600


class Forwarding(RuleBasedStateMachine):
    world: ForwardingWorld

    @initialize(processes=st.integers(2, 4))
    def start(self, processes: int) -> None:
        self.world = ForwardingWorld(processes)

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


TestForwarding = Forwarding.TestCase
TestForwarding.settings = settings(stateful_step_count=MOVES)


def walk(seed: int, world: type[ForwardingWorld] = ForwardingWorld) -> set[str]:
    """Take random moves; return what of note has happened."""
    random = Random(seed)
    here = world(2 + seed % 3)
    try:
        for _ in range(MOVES):
            here.move(random.choice)
            here.check()
        here.come_to_rest()
    finally:
        here.close()
    return here.happened


def test_nothing_goes_wrong_on_random_walks_through_every_fault() -> None:
    happened = set().union(*(walk(seed) for seed in range(SEEDS)))
    assert happened >= {"forwarded", "cut with an answer outstanding", "landed late", "rolled back"}


class _Careless(ForwardingWorld):
    """Takes events back as if they could not have landed."""

    def _break(self, link: Any) -> None:
        super()._break(link)
        for each in self.submissions:
            if each.entry is not None:
                each.entry.in_doubt = False


def test_who_takes_back_events_as_if_they_could_not_have_landed_is_noticed() -> None:
    for seed in range(5_000):
        try:
            walk(seed, _Careless)
        except AssertionError:
            return
    raise AssertionError("it was not")
