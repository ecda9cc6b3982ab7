"""If-Match: a command only happens to the alarm as its sender knows it (RFC 9110 §13.1.1)."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.kit.http import HttpStage

RAISE: dict[str, Any] = {"source": "boiler-7", "type": "overpressure", "severity": "major"}


async def raised(http: httpx.AsyncClient) -> str:
    """Raise the alarm, bring it to revision 3, and return its path."""
    answer = await http.post("/v1/alarms", json=RAISE)
    path = f"/v1/alarms/{answer.json()['alarm']['id']}"
    for text in ("a", "b"):
        answer = await http.post(f"{path}/comment", json={"text": text})
    assert answer.headers["etag"] == '"3"'
    return path


async def comment(http: httpx.AsyncClient, path: str, *conditions: str) -> httpx.Response:
    headers = [("if-match", condition) for condition in conditions]
    return await http.post(f"{path}/comment", json={"text": "c"}, headers=headers)


HOLD = ['"3"', "3", "*", '"1", "3"', '"x","3" , W/"2"', ' "3" ']
FAIL = ["2", "0", '"2"', '"4"', 'W/"3"', '"1", "2"', '"03"', '""', '"abc"', f'"{"9" * 400}"']
NONE = ["x", "", '"3', '"3""4"', '*, "3"', 'w/"3"', '"3" "4"']


@pytest.mark.parametrize("condition", HOLD)
async def test_a_condition_that_holds_lets_the_command_through(
    http: httpx.AsyncClient, condition: str
) -> None:
    path = await raised(http)
    answer = await comment(http, path, condition)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"4"')


@pytest.mark.parametrize("condition", FAIL)
async def test_a_condition_that_does_not_hold_is_answered_412(
    http: httpx.AsyncClient, condition: str
) -> None:
    path = await raised(http)
    answer = await comment(http, path, condition)
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert (answer.json()["revision"], answer.json()["state"]) == (3, "unacked")
    assert "acknowledge" in answer.json()["allowed_commands"]
    assert (await http.get(path)).headers["etag"] == '"3"'


@pytest.mark.parametrize("condition", NONE)
async def test_a_header_that_is_no_condition_is_refused(http: httpx.AsyncClient, condition: str) -> None:
    answer = await comment(http, await raised(http), condition)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_several_if_match_headers_are_one_list(http: httpx.AsyncClient) -> None:
    assert (await comment(http, await raised(http), '"1"', '"3"')).status_code == 200


async def test_an_alarm_that_is_not_there_is_unknown_whatever_the_condition(http: httpx.AsyncClient) -> None:
    assert (await comment(http, "/v1/alarms/none", "*")).status_code == 404


async def test_a_raise_may_be_conditional(http: httpx.AsyncClient) -> None:
    absent = await http.post("/v1/alarms", json=RAISE, headers={"if-match": "*"})
    assert (absent.status_code, absent.json()["revision"]) == (412, 0)
    await raised(http)
    again = RAISE | {"text": "12 bar"}
    assert (await http.post("/v1/alarms", json=again, headers={"if-match": '"2"'})).status_code == 412
    assert (await http.post("/v1/alarms", json=again, headers={"if-match": '"3"'})).status_code == 200
    identity = {"source": "boiler-7", "type": "overpressure"}
    assert (await http.post("/v1/clear", json=identity, headers={"if-match": '"3"'})).status_code == 412


async def test_the_condition_is_checked_before_the_rules(http: httpx.AsyncClient) -> None:
    path = await raised(http)
    answers = [
        (await http.post(f"{path}/confirm", headers={"if-match": tag})).status_code for tag in ('"2"', '"3"')
    ]
    assert answers == [412, 409]


async def test_of_many_commands_at_once_for_one_revision_one_happens() -> None:
    """Two processes on one log, each command decided on what its own process knows."""
    stage = HttpStage()
    other = HttpStage(stage.log)
    async with stage.client() as here, other.client() as there:
        path = await raised(here)
        answers = await asyncio.gather(
            *(comment(client, path, '"3"') for _ in range(20) for client in (here, there))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 39
        assert (await here.get(path)).json()["comment_count"] == 3


async def test_a_retry_gets_the_first_answer_though_the_revision_has_moved(http: httpx.AsyncClient) -> None:
    path = await raised(http)
    headers = {"idempotency-key": "k", "if-match": '"3"'}
    answers = [await http.post(f"{path}/comment", json={"text": "c"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    other = await http.post(f"{path}/comment", json={"text": "c"}, headers=headers | {"if-match": '"4"'})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
