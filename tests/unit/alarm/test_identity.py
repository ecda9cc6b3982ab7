import json
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.alarm import alarm
from core.alarm.alarm import ALARM_NAMESPACE, Alarm, Identity

texts = st.text(st.characters(codec="utf-8"), max_size=12)
identities = st.builds(Identity, texts, texts, texts, texts)


@given(identities)
def test_the_id_is_the_uuid5_of_the_json_array_of_the_four_parts(identity: Identity) -> None:
    parts = [identity.tenant, identity.source, identity.type, identity.qualifier]
    compact = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    assert UUID(identity.alarm_id).version == 5
    assert identity.alarm_id == str(uuid5(ALARM_NAMESPACE, compact))


@given(identities, identities)
def test_ids_are_equal_if_and_only_if_all_four_parts_are(one: Identity, other: Identity) -> None:
    assert (one.alarm_id == other.alarm_id) == (one == other)


@given(identities, st.sampled_from(["tenant", "source", "type", "qualifier"]), texts)
def test_every_part_of_an_identity_counts(identity: Identity, part: str, value: str) -> None:
    changed = replace(identity, **{part: value})
    assert (identity.alarm_id == changed.alarm_id) == (getattr(identity, part) == value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Identity("t", "a", "b", "c"), Identity("t", "a", "bc", "")),
        (Identity("t", "ab", "", "c"), Identity("t", "a", "b", "c")),
        (Identity("t", 'a","b', "c"), Identity("t", "a", 'b","c')),
        (Identity("t", "a", "b"), Identity("a", "t", "b")),
        (Identity("t", "é", "b"), Identity("t", "e\u0301", "b")),
    ],
)
def test_the_parts_of_an_identity_do_not_run_into_each_other(one: Identity, other: Identity) -> None:
    assert one.alarm_id != other.alarm_id


def test_stored_ids_stay_what_they_are() -> None:
    assert Identity("default", "line/1", "pressure").alarm_id == "fdb87021-b974-5e55-b936-aec44908de67"
    assert (
        Identity("default", "line/1", "pressure", "pump").alarm_id == "57de17a5-2032-525f-9f16-7913f736f898"
    )
    assert Identity("acme", "Ω", "fire", '"').alarm_id == "97633598-8656-5874-a302-d549bec2eb5d"


def test_an_alarm_that_never_was_is_normal() -> None:
    absent = Alarm.absent("some id")
    assert (absent.id, absent.state, absent.revision, absent.position) == ("some id", "normal", 0, 0)
    assert absent.acked
    assert not absent.active


def test_a_huge_identity_has_an_id_that_is_not_remembered() -> None:
    before = alarm._remembered_id.cache_info().currsize
    ids = {Identity("t", f"{number}" + "x" * alarm.REMEMBERED_LENGTH, "hot").alarm_id for number in range(3)}
    assert len(ids) == 3
    assert alarm._remembered_id.cache_info().currsize == before
