"""Events as documents: what a newer version has stored is told apart from what is broken."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from adapters.mongo.codec import event_document, event_of
from core.alarm.alarm import Alarm
from core.alarm.decider import decide
from core.alarm.events import SCHEMA_VERSION
from core.alarm.evolution import place
from core.errors import UnknownEvent
from tests.kit.given import PUMP, raising


def document() -> dict[str, Any]:
    absent = Alarm.absent(PUMP.alarm_id)
    event = decide(absent, raising())
    assert event is not None
    stored = event_document(place(absent, event, 7, None))
    for fields in (stored, stored["alarm"], stored["alarm"]["origins"][""]):
        # As the driver reads them.
        for name, value in fields.items():
            fields[name] = value.replace(tzinfo=None) if isinstance(value, datetime) else value
    return stored


def test_an_event_comes_back_as_it_was() -> None:
    event = event_of(document())
    assert (event.position, event.alarm.position, event.alarm.source) == (7, 7, PUMP.source)


def test_a_newer_version_may_have_another_shape() -> None:
    stored = document() | {"v": SCHEMA_VERSION + 1}
    stored["alarm"]["severity"] = 3
    with pytest.raises(UnknownEvent, match=f"event 7 is alarm.raised v{SCHEMA_VERSION + 1}"):
        event_of(stored)


def test_a_known_version_may_not_have_another_shape() -> None:
    stored = document()
    stored["alarm"]["severity"] = 3
    with pytest.raises(msgspec.ValidationError):
        event_of(stored)
