"""How a world is moved: by hypothesis, or at random by a seed."""

from collections.abc import Callable
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.machines.log.appending import World


class Walking(RuleBasedStateMachine):
    """A machine on a world, which its own `initialize` makes."""

    world: World

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


def walk(seed: int, world: World, moves: int) -> set[str]:
    """Take random moves; return what of note has happened."""
    random = Random(seed)
    try:
        for _ in range(moves):
            world.move(random.choice)
            world.check()
        world.come_to_rest()
    finally:
        world.close()
    return world.happened


def goes_wrong(seeds: int, walked: Callable[[int], set[str]]) -> bool:
    """Return whether one of so many walks finds something wrong."""
    for seed in range(seeds):
        try:
            walked(seed)
        except AssertionError:
            return True
    return False
