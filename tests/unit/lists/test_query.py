"""What a list's words, prefixes and orders are."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.alarm.alarm import Alarm
from core.errors import InvalidInput
from core.lists.filter import PREFIX_DEPTH
from core.lists.query import (
    WORD_LENGTH,
    WORDS,
    AlarmQuery,
    Sort,
    has_words,
    matches,
    order_of,
    prefixes_of,
    searched,
    sought,
    words_of,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)


def alarm(**fields: object) -> Alarm:
    given_fields = {"id": "1", "tenant": "default", "source": "s", "type": "t", "qualifier": "", **fields}
    return Alarm(**given_fields)  # type: ignore[arg-type]


def order(sort: Sort, rows: list[Alarm]) -> list[str]:
    by = order_of(sort)
    return [row.id for row in sorted(rows, key=by.place, reverse=by.reverse)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Pressure 12.4 bar", ["pressure", "12", "4", "bar"]),
        ("STRASSE straße", ["strasse"]),
        ("(a+)+$ .* \\", ["a"]),
        ("boiler-7/valve_2", ["boiler", "7", "valve", "2"]),
        (" \0\n", []),
        ("x" * 100, ["x" * WORD_LENGTH]),
    ],
)
def test_a_text_is_cut_into_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text())
def test_a_text_is_found_by_itself_and_by_how_each_word_begins(text: str) -> None:
    row = alarm(text=text)
    for words in (sought(text), sought(text.upper())):
        if words and len(words) < WORDS - 2:
            assert has_words(row, frozenset(word[: 1 + len(word) // 2] for word in words))


def test_text_without_a_word_is_found_nowhere_but_no_text_asks_for_nothing() -> None:
    assert sought(".*") is None
    assert not matches(AlarmQuery(tenant="default", words=sought(".*")), alarm(state="unacked"))
    assert matches(AlarmQuery(tenant="default", words=sought("  ")), alarm(state="unacked"))


def test_of_a_long_text_the_first_words_count() -> None:
    row = alarm(text=" ".join(map(str, range(1_000))))
    assert len(searched(row)) == WORDS
    assert has_words(row, frozenset({"97"}))
    assert not has_words(row, frozenset({"998"}))


def test_a_source_has_a_prefix_at_each_slash() -> None:
    assert prefixes_of("a") == []
    assert prefixes_of("a/b/c") == ["a/", "a/b/"]
    assert prefixes_of("/a/") == ["/", "/a/"]
    assert len(prefixes_of("/" * 100)) == PREFIX_DEPTH


def test_the_default_order_is_unacknowledged_first_then_severity_then_the_newest() -> None:
    rows = [
        alarm(id="acked", state="acked", severity="critical", raised_at=AT),
        alarm(id="rtn", state="rtn_unacked", severity="critical", raised_at=AT),
        alarm(id="minor", state="unacked", severity="minor", raised_at=AT),
        alarm(id="old", state="unacked", severity="critical", raised_at=AT),
        alarm(id="new", state="unacked", severity="critical", raised_at=AT + timedelta(milliseconds=1)),
    ]
    assert order("state", rows) == ["new", "old", "minor", "rtn", "acked"]
    assert order("-state", rows) == ["acked", "rtn", "minor", "old", "new"]


def test_a_minus_turns_the_order_round() -> None:
    rows = [
        alarm(id="a", severity="critical", raised_at=AT, position=2, occurrence=1, source="a"),
        alarm(id="b", severity="minor", raised_at=AT + timedelta(1), position=1, occurrence=5, source="b"),
    ]
    for sort in ("-severity", "raised_at", "-updated_at", "source", "occurrence"):
        assert order(sort, rows) == ["a", "b"], sort
        assert order(order_name(sort), rows) == ["b", "a"], sort


def order_name(sort: str) -> Sort:
    other = sort[1:] if sort.startswith("-") else f"-{sort}"
    found: Sort = next(each for each in get_args(Sort) if each == other)
    return found


@pytest.mark.parametrize(
    "query",
    [
        AlarmQuery(tenant="default", sources=frozenset({"*"})),
        AlarmQuery(tenant="default", sources=frozenset({"a/" * (PREFIX_DEPTH + 1) + "*"})),
        AlarmQuery(tenant="default", sources=frozenset({"x" * 600})),
        AlarmQuery(tenant="default", types=frozenset(map(str, range(200)))),
        AlarmQuery(tenant="default", labels={"a\0": "b"}),
        AlarmQuery(tenant="default", labels={"a": "b" * 300}),
    ],
)
def test_a_query_for_what_no_alarm_can_have_is_refused(query: AlarmQuery) -> None:
    with pytest.raises(InvalidInput):
        query.check()
