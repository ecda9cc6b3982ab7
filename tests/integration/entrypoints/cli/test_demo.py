"""The simulated plant: the same for the same seed, and every kind of trouble in it."""

from collections import Counter
from itertools import islice

from entrypoints.cli.demo import CHATTERS, FLOOD, STANDING, Report, plant

SOME = 2_000


def key(report: Report) -> tuple[str, str]:
    return report.body["source"], report.body["type"]


def test_the_same_seed_is_the_same_plant() -> None:
    assert list(islice(plant(3), SOME)) == list(islice(plant(3), SOME))
    assert list(islice(plant(3), SOME)) != list(islice(plant(4), SOME))


def test_alarms_stand_chatter_flood_and_clear() -> None:
    reports = list(islice(plant(), SOME))
    raised = Counter(key(each) for each in reports if each.path == "/v1/alarms")
    cleared = Counter(key(each) for each in reports if each.path == "/v1/clear")
    assert (
        sum(source.startswith("cabinet/") and not cleared[source, kind] for source, kind in raised)
        == STANDING
    )
    assert max(raised.values()) >= CHATTERS
    assert sum(cleared.values()) > SOME // 3
    assert any(
        len({key(each) for each in reports[at : at + FLOOD] if each.path == "/v1/alarms"}) >= FLOOD // 2
        for at in range(0, SOME, FLOOD)
    )
