import pytest

from core.alarm.facts import Acknowledged
from tests.kit.given import Given, acknowledging, clearing, raising, second


def test_an_active_alarm_is_acknowledged() -> None:
    event = Given(raising()).when(acknowledging(1, at=4))
    assert (event.type, event.revision, event.fact) == (
        "alarm.acknowledged",
        2,
        Acknowledged(seen_revision=1),
    )
    assert (event.alarm.state, event.alarm.acked, event.alarm.active) == ("acked", True, True)
    assert (event.alarm.acked_at, event.alarm.acked_by) == (second(4), "some operator")


def test_an_alarm_that_has_returned_to_normal_is_normal_once_acknowledged() -> None:
    assert Given(raising(), clearing()).when(acknowledging(2)).alarm.state == "normal"


def test_an_acknowledgement_leaves_alone_what_the_source_says() -> None:
    given = Given(raising(occurred=3, text="hot"))
    alarm = given.when(acknowledging(1, at=9)).alarm
    assert (alarm.occurred_at, alarm.raised_at, alarm.text) == (second(3), given.alarm.raised_at, "hot")
    assert alarm.updated_at == second(9)


def test_an_alarm_that_never_was_is_unknown() -> None:
    assert Given().refused_when(acknowledging(0), "unknown_alarm").alarm is None


def test_an_alarm_of_another_tenant_is_unknown() -> None:
    given = Given(raising())
    assert given.refused_when(acknowledging(1, tenant="other"), "unknown_alarm").alarm is None


def test_a_second_acknowledgement_is_refused() -> None:
    given = Given(raising(), acknowledging(1))
    for revision in (1, 2):
        assert given.refused_when(acknowledging(revision), "already_acknowledged").alarm == given.alarm


def test_an_alarm_that_is_normal_cannot_be_acknowledged() -> None:
    Given(raising(), acknowledging(1), clearing()).refused_when(acknowledging(3), "already_acknowledged")


@pytest.mark.parametrize("seen", [1, 2, 3, 4])
def test_an_alarm_whose_text_keeps_changing_can_be_acknowledged(seen: int) -> None:
    given = Given(raising(text="80"), raising(text="81"), raising(text="82"), raising(text="83"))
    event = given.when(acknowledging(seen))
    assert event.fact == Acknowledged(seen_revision=seen)
    assert event.alarm.text == "83"


def test_a_lower_severity_or_another_origin_does_not_invalidate_what_was_seen() -> None:
    given = Given(raising("critical"), raising("major"), raising("minor", origin="b"))
    assert given.when(acknowledging(1)).alarm.state == "acked"


def test_a_return_to_normal_does_not_invalidate_what_was_seen() -> None:
    assert Given(raising(), clearing()).when(acknowledging(1)).alarm.state == "normal"


def test_an_alarm_raised_again_since_has_to_be_looked_at() -> None:
    given = Given(raising(), clearing(), raising())
    for revision in (-1, 0, 1, 2):
        assert given.refused_when(acknowledging(revision), "revision_outdated").alarm == given.alarm
    assert given.when(acknowledging(3)).alarm.state == "acked"


def test_an_alarm_that_became_more_severe_since_has_to_be_looked_at() -> None:
    given = Given(raising("minor"), acknowledging(1), raising("critical"))
    given.refused_when(acknowledging(2), "revision_outdated")
    assert given.when(acknowledging(3)).alarm.state == "acked"


def test_an_alarm_that_became_more_severe_at_another_origin_has_to_be_looked_at() -> None:
    given = Given(raising("minor", origin="a"), acknowledging(1), raising("critical", origin="b"))
    given.refused_when(acknowledging(2), "revision_outdated")


def test_a_revision_that_is_not_there_yet_is_refused() -> None:
    given = Given(raising())
    assert given.refused_when(acknowledging(2), "revision_ahead").alarm == given.alarm
