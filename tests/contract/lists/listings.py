"""Alarms of many kinds, whose fields tie and trick, and queries that ask for them."""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, get_args

from hypothesis import strategies as st
from msgspec.structs import replace

from core.alarm.alarm import Alarm, Severity, State
from core.alarm.events import Actor, Event
from core.lists.query import AlarmPage, AlarmQuery, Sort, sought
from tests.kit.history import BEGINNING

TENANTS = ["default", "default", "default", "other"]
SOURCES = [
    "plant",
    "plant/",
    "plant/a",
    "plant/a/1",
    "plant/a/2",
    "plant/ü",
    "plant0",
    "plänt/a",
    "$x.y",
    "/r",
    "a,b",
]
TYPES = ["overpressure", "leak", "$type", "leak.age", ""]
ASSIGNEES = [None, "Ann", "Bob Ö."]
TEXTS = ["", "Pressure 12.4 bar", "PRESSURE is over", "Straße (a+)+$ .*", "\uff21\uff42\uff43 x", "İzmir öl"]
SEARCHES = ["", "", "", "", "", "", "", "press", "STRASSE", "plant/a 1", ".*", "abc", "ö", "pressure pump"]
AREAS = ["plant/*", "plant/a/*", "/*", "pl*"]
SEARCHES = ["", "press", "STRASSE", "plant/a 1", ".*", "abc", "ö", "pressure pump"]
NAMES = ["site", "a.b", "$a", "a=b", ""]
VALUES = ["north", "b=c", "", "$site"]


def made(count: int, streams: int, seed: int = 1) -> list[Event]:
    """Return so many events of so many alarms; each leaves its alarm in any state whatever."""
    chance = random.Random(seed)
    identities = [
        Alarm(
            id=f"{chance.randrange(16):x}-{number}",
            tenant=chance.choice(TENANTS),
            source=chance.choice(SOURCES),
            type=chance.choice(TYPES),
            qualifier=chance.choice(["", "Pump 7"]),
        )
        for number in range(streams)
    ]
    revisions = dict.fromkeys((alarm.id for alarm in identities), 0)
    events = []
    for position in range(1, count + 1):
        alarm = chance.choice(identities)
        revisions[alarm.id] += 1
        events.append(_event(chance, alarm, position, revisions[alarm.id]))
    return events


def _event(chance: random.Random, alarm: Alarm, position: int, revision: int) -> Event:
    at = BEGINNING + timedelta(seconds=position // 3)
    after = replace(
        alarm,
        severity=chance.choice(get_args(Severity)),
        state=chance.choice(get_args(State)),
        text=chance.choice(TEXTS),
        labels={chance.choice(NAMES): chance.choice(VALUES) for _ in range(chance.randrange(3))},
        active=chance.random() < 0.5,
        acked=chance.random() < 0.5,
        assignee=chance.choice(ASSIGNEES),
        raised_at=chance.choice([None, *(BEGINNING + timedelta(milliseconds=n) for n in range(4))]),
        occurrence=chance.randrange(3),
        updated_at=at,
        revision=revision,
        position=position,
    )
    return Event(
        position=position,
        event_id=f"e-{position}",
        stream=alarm.id,
        revision=revision,
        tenant=alarm.tenant,
        type="alarm.raised",
        at=at,
        occurred_at=at,
        actor=Actor("someone", "source"),
        data={},
        alarm=after,
    )


def asked(seed: int) -> AlarmQuery:
    """Return a query with up to three conditions: with more, hardly a row is left to compare."""
    chance = random.Random(seed)
    conditions: dict[str, Callable[[], Any]] = {
        "states": lambda: some(chance, get_args(State)),
        "severities": lambda: some(chance, get_args(Severity)),
        "sources": lambda: some(chance, [*SOURCES, *AREAS]) if chance.random() < 0.5 else some(chance, AREAS),
        "types": lambda: some(chance, TYPES),
        "assignees": lambda: some(chance, ["Ann", "Bob Ö."]),
        "labels": lambda: {
            chance.choice(NAMES): chance.choice(VALUES) for _ in range(chance.randrange(1, 3))
        },
        "words": lambda: sought(chance.choice(SEARCHES)),
        "active": lambda: chance.random() < 0.5,
        "acked": lambda: chance.random() < 0.5,
    }
    given = {name: conditions[name]() for name in chance.sample(sorted(conditions), chance.randrange(4))}
    return AlarmQuery(
        tenant=chance.choice(TENANTS),
        sort=chance.choice(get_args(Sort)),
        limit=chance.randint(4, 60),
        **given,
    )


def some(chance: random.Random, values: Sequence[str]) -> frozenset[Any]:
    return frozenset(chance.sample(values, chance.randrange(min(len(values), 4) + 1)))


# By a seed, so that all kinds of queries come equally often: built part by part, most would find nothing.
queries: st.SearchStrategy[AlarmQuery] = st.integers(0, 2**32 - 1).map(asked)


async def walked(
    page_of: Callable[[AlarmQuery], Awaitable[AlarmPage]], query: AlarmQuery
) -> list[list[Alarm]]:
    """Return all pages of a list, the first first."""
    pages = []
    while True:
        page = await page_of(query)
        pages.append(list(page.alarms))
        if page.next is None:
            return pages
        assert len(page.alarms) == query.limit
        query = replace(query, after=page.next)
