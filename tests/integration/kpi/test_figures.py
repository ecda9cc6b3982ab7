"""What the buckets of a period come to."""

from datetime import timedelta

import pytest
from hypothesis import given

from core.kpi import bucket as buckets
from core.kpi.activity import activity_of
from core.kpi.bucket import BUCKET, start_of
from core.kpi.figures import figures
from tests.integration.kpi.reckoning import of, value, whole
from tests.kit.history import BEGINNING, Shift
from tests.kit.shifts import shift, steps


@given(steps)
def test_the_series_adds_up_to_the_alarms_that_were_annunciated(moves: list[tuple[str, str, float]]) -> None:
    events = shift(moves).events
    called = [each for event in events if (each := activity_of(event)) and each.kind == "annunciated"]
    end = start_of(BEGINNING + timedelta(days=2))
    found = figures(of(events), BEGINNING, end)
    assert sum(found.series) == len(called)
    assert sum(priority.count for priority in found.priorities) == len(called)
    assert sum(source.raised for source in found.top_sources) == len(called)


def test_a_shift_comes_to_what_was_reckoned_by_hand() -> None:
    made = Shift()
    for _ in range(12):
        # A flood of twelve alarms in ten minutes, each acknowledged after 16 s.
        made.raised(f"pump-{made.commands}", "minor")
        made.wait(16)
        made.acknowledged(f"pump-{made.commands - 1}")
        made.wait(4)
    made.wait(1_800)
    for _ in range(4):
        # One that chatters, every 15 s, and is gone after 5.
        made.raised("valve", "critical")
        made.wait(5)
        made.cleared("valve")
        made.wait(10)
    found = whole(made)
    assert found.series == [12, 0, 0, 4, 0, 0]
    assert value(found, "raised_per_hour") == 16
    assert value(found, "raised_per_day") == pytest.approx(16 * 24)
    assert value(found, "peak_10_minutes") == 12
    assert value(found, "flood_periods") == pytest.approx(1 / 6)
    assert value(found, "flood_time") == pytest.approx(1 / 6)
    assert [(bad.source, bad.count) for bad in found.chattering] == [("valve", 2)]
    assert [(bad.source, bad.count) for bad in found.fleeting] == [("valve", 4)]
    assert (found.top_sources[0].source, found.top_sources[0].raised) == ("valve", 4)
    assert found.top_sources[0].share == pytest.approx(0.25)
    assert {each.severity: each.count for each in found.priorities if each.count} == {
        "critical": 4,
        "minor": 12,
    }
    assert found.acknowledge_seconds.count == 12
    assert found.acknowledge_seconds.median == pytest.approx(16, rel=0.2)
    assert {kpi.name: kpi.met for kpi in found.kpis}["raised_per_hour"] is False
    assert found.complete


def test_chattering_is_seen_across_the_border_of_two_buckets() -> None:
    made = Shift()
    made.wait(BUCKET.total_seconds() - 20)
    for _ in range(3):
        made.raised("valve")
        made.wait(10)
        made.cleared("valve")
        made.wait(5)
    found = whole(made)
    assert found.series[:2] == [2, 1]
    assert [(bad.source, bad.count) for bad in found.chattering] == [("valve", 1)]


def test_a_bucket_has_a_bound_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "ALARMS", 3)
    made = Shift()
    for number in range(5):
        made.raised(f"pump-{number}")
    found = whole(made)
    assert found.series[0] == 5
    assert len(found.top_sources) == 3
    assert not found.complete
    some = figures(of(made.events), BEGINNING, BEGINNING + BUCKET, lambda source, _: source == "pump-1")
    assert some.series == [1]


def test_a_period_without_alarms_has_no_shares() -> None:
    found = whole(Shift())
    assert found.series == [0] * 6
    assert value(found, "top_10_sources_share") is None
    assert value(found, "raised_per_hour") == 0
