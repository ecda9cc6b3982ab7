"""Processes that forward their events to one appender, or to several: positions 1..n, whatever happens."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from tests.machines.log.forwarding import ForwardingWorld, Link
from tests.machines.log.walking import Walking, goes_wrong, walk

MOVES = 150
SEEDS = 600
SEEDS_TO_FAIL = 5_000


class Forwarding(Walking):
    @initialize(processes=st.integers(2, 4))
    def start(self, processes: int) -> None:
        self.world = ForwardingWorld(processes)


TestForwarding = Forwarding.TestCase
TestForwarding.settings = settings(stateful_step_count=MOVES)


def walked(seed: int, world: type[ForwardingWorld] = ForwardingWorld) -> set[str]:
    return walk(seed, world(2 + seed % 3), MOVES)


def test_nothing_goes_wrong_on_random_walks_through_every_fault() -> None:
    happened = set().union(*(walked(seed) for seed in range(SEEDS)))
    assert happened >= {"forwarded", "cut with an answer outstanding", "landed late", "rolled back"}


class _Careless(ForwardingWorld):
    """Takes events back as if they could not have landed."""

    def _break(self, link: Link) -> None:
        super()._break(link)
        for each in self.submissions:
            if each.entry is not None:
                each.entry.in_doubt = False


def test_who_takes_back_events_as_if_they_could_not_have_landed_is_noticed() -> None:
    assert goes_wrong(SEEDS_TO_FAIL, lambda seed: walked(seed, _Careless))
