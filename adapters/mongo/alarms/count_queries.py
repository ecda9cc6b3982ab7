"""Counting alarms on MongoDB: by the ranks that the indexes are made of."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from adapters.mongo.alarms.list_queries import condition
from adapters.mongo.client import Document
from core.alarm.alarm import Alarm, Severity, State
from core.lists.ports import AlarmCounts
from core.lists.query import IN_SIGHT, SEVERITY_ORDER, STATE_ORDER, AlarmQuery, age_rank

_STATES = {rank: state for state, rank in STATE_ORDER.items()}
_SEVERITIES = {rank: severity for severity, rank in SEVERITY_ORDER.items()}
_OUT_OF_SIGHT: frozenset[State] = frozenset({"shelved", "suppressed", "out_of_service"})


def counted(query: AlarmQuery) -> list[Document]:
    """Return the pipeline that counts the rows by state and severity."""
    ranks = {"state": "$keys.state", "severity": "$keys.severity"}
    return [{"$match": condition(query)}, {"$group": {"_id": ranks, "count": {"$sum": 1}}}]


def hidden_active(query: AlarmQuery) -> Document:
    """Return the condition for those that are active and out of sight."""
    states = _OUT_OF_SIGHT & frozenset(query.listed_states)
    return {"$and": [condition(replace(query, states=states)), {"active": True}]}


def stale(query: AlarmQuery, before: datetime) -> Document:
    """Return the condition for those that are in sight and were raised before some time."""
    states = IN_SIGHT & frozenset(query.listed_states)
    return {"$and": [condition(replace(query, states=states)), {"keys.raised_at": {"$gt": age_rank(before)}}]}


def counts_of(
    by_rank: Sequence[Document], hidden: int, stale_count: int, oldest: Sequence[Alarm]
) -> AlarmCounts:
    """Return the counts that the three have found."""
    states, severities = Counter[State](), Counter[Severity]()
    for found in by_rank:
        state, severity = _STATES[found["_id"]["state"]], _SEVERITIES[found["_id"]["severity"]]
        states[state] += found["count"]
        if state != "normal":
            severities[severity] += found["count"]
    active = sum(states[state] for state in IN_SIGHT) + hidden
    return AlarmCounts(
        by_state=states, by_severity=severities, active=active, stale=stale_count, oldest=oldest
    )
