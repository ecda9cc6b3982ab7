"""Any commands, single and in bulk, to either of two processes: as the model says, answer by answer."""

import itertools
import json
from typing import Any

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from core.alarm.alarm import SEVERITY_RANK, Identity
from tests.e2e.commanding import Model, Said, answer_of, shown
from tests.e2e.conftest import Servers

# It takes seconds on a quiet machine. When commands fail, Hypothesis sends them again, for up to five
# minutes, to find the shortest that fail: a loaded machine must not cut that off before they are printed.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HOUR = 3600
"""Shelves end long after the test, so that nobody but the test records anything."""

qualifiers = st.sampled_from(["a", "b"])
times = st.sampled_from([f"2026-01-01T00:00:0{second}Z" for second in range(3)])
if_match = st.sampled_from([None] * 9 + [1, 2, 3])


def on(name: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Said]:
    return st.fixed_dictionaries({"command": st.just(name), "alarm_id": qualifiers, **more})


raises = st.fixed_dictionaries(
    {
        "command": st.just("raise"),
        "qualifier": qualifiers,
        "severity": st.sampled_from(list(SEVERITY_RANK)),
        "text": st.sampled_from(["", "hot", "hotter", "x" * 5_000]),
        "latched": st.booleans(),
        "origin": st.sampled_from(["", "o"]),
        "occurred_at": times,
    }
)
clears = st.fixed_dictionaries(
    {"command": st.just("clear"), "qualifier": qualifiers}, optional={"origin": st.sampled_from(["", "o"])}
)
reasons = st.sampled_from(["", "repair"])
said = st.one_of(
    raises,
    raises,
    clears,
    on("clear"),
    on("acknowledge", revision=st.integers(1, 8)),
    on("acknowledge", revision=st.integers(1, 8)),
    on("confirm"),
    on("reset"),
    on("shelve", seconds=st.sampled_from([HOUR, 25 * HOUR])) | on("shelve"),
    on("unshelve"),
    on("suppress", reason=reasons) | on("unsuppress", reason=reasons),
    on("remove_from_service", reason=reasons) | on("place_in_service", reason=reasons),
    on("assign", assignee=st.sampled_from(["olga", "oleg"])) | on("unassign"),
    on("comment", text=st.sampled_from(["seen", ""])),
)
conditional = st.builds(lambda each, tag: each if tag is None else each | {"if_match": tag}, said, if_match)
keys = st.sampled_from([None, None, "k", "l"])
either = st.integers(0, 1)


class Commands(RuleBasedStateMachine):
    """Sends the same to a server and to the model."""

    clients: tuple[httpx.Client, httpx.Client]
    examples = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        # Every example has alarms and keys of its own.
        self.name = f"plant-{next(self.examples)}"
        self.model = Model(self.clients[0].get("/v1/events?limit=1").json()["position"])

    @initialize(server=either)
    def raised(self, server: int) -> None:
        """Begin with alarms that there are: most commands are refused where there is none."""
        report = {"command": "raise", "severity": "minor", "occurred_at": "2026-01-01T00:00:00Z"}
        self.many(server, [report | {"qualifier": qualifier} for qualifier in ("a", "b")], None)

    @rule(server=either, each=conditional, key=keys)
    def one(self, server: int, each: Said, key: str | None) -> None:
        each = self.whole(each)
        path, body, tag = route_of(each)
        headers = {"content-type": "application/json"}
        if tag is not None:
            headers["if-match"] = f'"{tag}"'
        if key is not None:
            headers["idempotency-key"] = f"{self.name}-{key}"
        answer = self.clients[server].post(path, content=json.dumps(body), headers=headers)
        expected = self.model.handle(each, key, json.dumps([path, body, tag]))
        assert self.model.translated(answer_of(answer.status_code, answer.json())) == expected
        if expected.alarm is not None:
            assert answer.headers["etag"] == f'"{expected.alarm["revision"]}"'

    @rule(server=either, several=st.lists(conditional, max_size=8), key=keys)
    def many(self, server: int, several: list[Said], key: str | None) -> None:
        several = [self.whole(each) for each in several]
        headers = {} if key is None else {"idempotency-key": f"{self.name}-{key}"}
        answer = self.clients[server].post("/v1/commands", json=several, headers=headers)
        assert answer.status_code == 200
        got = [answer_of(each["status"], each) for each in answer.json()]
        after = self.model.position
        expected = [
            self.model.handle(each, None if key is None else f"{key}/{index}", json.dumps(each))
            for index, each in enumerate(several)
        ]
        self.model.learn(after, got, expected)
        assert [self.model.translated(each) for each in got] == expected

    @rule(server=either, everything=st.booleans())
    def listed(self, server: int, everything: bool) -> None:
        query: Said = {"source": self.name, "min_position": self.model.position}
        answer = self.clients[server].get(
            "/v1/alarms", params=query | ({"state": "all"} if everything else {})
        )
        rows = {alarm["id"]: self.model.row(shown(alarm)) for alarm in answer.json()["alarms"]}
        assert rows == self.model.listed(everything=everything)

    def whole(self, each: Said) -> Said:
        """Return the command about this example's alarm."""
        if "alarm_id" in each:
            return each | {"alarm_id": Identity("default", self.name, "hot", each["alarm_id"]).alarm_id}
        return each | {"source": self.name, "type": "hot"}


def route_of(each: Said) -> tuple[str, Said, int | None]:
    """Return the single route of a command, its body and its condition."""
    body = {name: value for name, value in each.items() if name not in ("command", "alarm_id", "if_match")}
    if "alarm_id" in each:
        path = f"/v1/alarms/{each['alarm_id']}/{each['command']}"
    else:
        path = "/v1/alarms" if each["command"] == "raise" else "/v1/clear"
    return path, body, each.get("if_match")


def test_any_commands_are_answered_as_the_model_says(servers: Servers) -> None:
    with (
        httpx.Client(base_url=servers[0].url, timeout=30.0, trust_env=False) as first,
        httpx.Client(base_url=servers[1].url, timeout=30.0, trust_env=False) as second,
    ):
        Commands.clients = (first, second)
        # Every step asks a real server, several times.
        examples = max(10, settings().max_examples // 10)
        run_state_machine_as_test(Commands, settings=settings(max_examples=examples, stateful_step_count=15))
