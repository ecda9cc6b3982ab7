"""Which events count, and as what."""

import pytest
from msgspec.structs import replace

from core.alarm.events import SCHEMA_VERSION
from core.errors import UnknownEvent
from core.kpi.activity import activity_of
from tests.kit.history import Shift


def test_a_shelved_alarm_and_one_for_the_journal_call_nobody() -> None:
    made = Shift()
    made.raised("pump")
    event = made.events[0]
    assert activity_of(event) is not None
    assert activity_of(replace(event, alarm=replace(event.alarm, state="shelved"))) is None
    assert activity_of(replace(event, alarm=replace(event.alarm, annunciate=False))) is None


def test_an_event_of_a_newer_version_is_not_guessed_at() -> None:
    made = Shift()
    made.raised("pump")
    with pytest.raises(UnknownEvent):
        activity_of(replace(made.events[0], v=SCHEMA_VERSION + 1))
