from msgspec.structs import replace

from core.alarm.alarm import Alarm
from core.alarm.events import SCHEMA_VERSION
from core.alarm.weight import memory_of
from core.log.known_alarms import KnownAlarms
from tests.kit.history import History


def alarm(alarm_id: str, revision: int) -> Alarm:
    return replace(Alarm.absent(alarm_id), revision=revision)


def test_an_alarm_that_was_never_seen_is_not_known() -> None:
    assert KnownAlarms().get("a") is None


def test_the_latest_revision_wins_in_whatever_order_revisions_come() -> None:
    recollection = KnownAlarms()
    for revision in (2, 1, 3, 2):
        recollection.see(alarm("a", revision))
    assert recollection.get("a") == alarm("a", 3)
    assert len(recollection) == 1


def test_the_alarm_that_changed_longest_ago_is_forgotten_first() -> None:
    recollection = KnownAlarms(limit=2)
    recollection.see(alarm("a", 1))
    recollection.see(alarm("b", 1))
    recollection.see(alarm("a", 2))
    recollection.see(alarm("c", 1))
    assert [recollection.get(each) is not None for each in "abc"] == [True, False, True]
    assert len(recollection) == 2


def test_an_older_revision_makes_room_for_nothing() -> None:
    recollection = KnownAlarms(limit=2)
    recollection.see(alarm("a", 5))
    recollection.see(alarm("b", 5))
    for revision in range(5):
        recollection.see(alarm("b", revision))
    assert recollection.get("a") == alarm("a", 5)


def test_after_forgetting_an_older_revision_is_news() -> None:
    recollection = KnownAlarms()
    recollection.see(alarm("a", 5))
    recollection.forget()
    assert recollection.get("a") is None
    recollection.see(alarm("a", 1))
    assert recollection.get("a") == alarm("a", 1)


def test_events_leave_their_alarms_known() -> None:
    history, recollection = History(), KnownAlarms()
    history.raised("pump-1")
    history.cleared("pump-1")
    recollection.learn(history.events)
    newest = history.events[-1].alarm
    assert recollection.get(newest.id) == newest


def test_the_snapshot_of_another_version_is_not_known() -> None:
    history, recollection = History(), KnownAlarms()
    history.raised("pump-1")
    other = replace(history.events[0], v=SCHEMA_VERSION + 1)
    recollection.learn([other])
    assert recollection.get(other.stream) is None


def test_an_alarm_that_the_log_lacks_is_known_to_be_absent() -> None:
    recollection = KnownAlarms(limit=1)
    recollection.see(alarm("a", 1))
    recollection.streams.complete()
    recollection.see(alarm("b", 1))
    assert recollection.get("a") is None
    assert recollection.get("c") == Alarm.absent("c")


def test_an_alarm_of_another_version_is_not_known_to_be_absent() -> None:
    history, recollection = History(), KnownAlarms()
    history.raised("pump-1")
    other = replace(history.events[0], v=SCHEMA_VERSION + 1)
    recollection.streams.complete()
    recollection.learn([other])
    assert recollection.get(other.stream) is None


def test_after_forgetting_none_is_known_to_be_absent() -> None:
    recollection = KnownAlarms()
    recollection.streams.complete()
    recollection.forget()
    assert recollection.get("a") is None


def test_what_is_remembered_is_bounded_in_bytes() -> None:
    large = replace(alarm("large", 1), text="x" * 1_000)
    recollection = KnownAlarms(size=3 * memory_of(large))
    for number in range(10):
        recollection.see(replace(large, id=str(number)))
        recollection.see(replace(large, id=str(number), revision=2))
    assert [recollection.get(str(number)) is not None for number in range(10)] == [False] * 7 + [True] * 3
    recollection.see(replace(large, id="9", revision=3, text="x" * 100_000))
    assert len(recollection) == 0
    recollection.see(large)
    assert recollection.get("large") == large
