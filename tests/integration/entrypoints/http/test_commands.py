"""Commands over HTTP: what is answered, and how everything that is wrong is refused."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from adapters.memory.log import MemoryLog
from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.errors import OutcomeUnknown, TocsinError, Unavailable
from tests.kit.http import RAISE, HttpStage, post, problem, raised


async def test_a_new_activation_is_created(http: httpx.AsyncClient) -> None:
    answer = await post(http, "/v1/alarms", **RAISE)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["changed"], body["position"], body["alarm"]["state"]) == (True, 1, "unacked")
    assert answer.headers["etag"] == '"1"'


async def test_a_repeat_changes_nothing(http: httpx.AsyncClient) -> None:
    await raised(http)
    answer = await post(http, "/v1/alarms", **RAISE)
    assert (answer.status_code, answer.json()["changed"], answer.json()["position"]) == (200, False, 1)


async def test_an_update_is_no_creation(http: httpx.AsyncClient) -> None:
    await raised(http)
    answer = await post(http, "/v1/alarms", **RAISE | {"text": "13 bar"})
    assert (answer.status_code, answer.json()["changed"]) == (200, True)


async def test_a_device_clears_by_identity(http: httpx.AsyncClient) -> None:
    await raised(http)
    answer = await post(http, "/v1/clear", source="boiler-7", type="overpressure")
    assert answer.json()["alarm"]["state"] == "rtn_unacked"
    again = await post(http, "/v1/clear", source="boiler-7", type="overpressure")
    assert again.json()["changed"] is False


async def test_an_operator_acknowledges_and_clears(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    path = f"/v1/alarms/{alarm['id']}"
    acknowledged = await post(http, f"{path}/acknowledge", revision=1)
    assert acknowledged.json()["alarm"]["state"] == "acked"
    cleared = await http.post(f"{path}/clear")
    assert cleared.json()["alarm"]["state"] == "normal"
    assert problem(await http.post(f"{path}/clear")) == (409, "not_active")


async def test_a_refusal_tells_how_the_alarm_stands(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    path = f"/v1/alarms/{alarm['id']}/acknowledge"
    await post(http, path, revision=1)
    refused = await post(http, path, revision=1)
    assert problem(refused) == (409, "already_acknowledged")
    body = refused.json()
    assert (body["state"], body["revision"]) == ("acked", 2)
    assert "clear" in body["allowed_commands"]
    assert "acknowledge" not in body["allowed_commands"]


async def test_an_acknowledgement_of_what_was_announced_again_is_refused(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    await raised(http, severity="critical")
    answer = await post(http, f"/v1/alarms/{alarm['id']}/acknowledge", revision=1)
    assert problem(answer) == (409, "revision_outdated")


COMMANDS: list[tuple[str, dict[str, Any], str]] = [
    ("shelve", {"seconds": 60, "reason": "noise"}, "shelved"),
    ("shelve", {}, "shelved"),
    ("remove_from_service", {"reason": "maintenance"}, "out_of_service"),
    ("assign", {"assignee": "ada"}, "unacked"),
    ("comment", {"text": "seen it"}, "unacked"),
]


@pytest.mark.parametrize(("command", "body", "state"), COMMANDS)
async def test_every_other_command_is_answered_with_the_alarms_state(
    http: httpx.AsyncClient, command: str, body: dict[str, Any], state: str
) -> None:
    alarm = await raised(http)
    answer = await post(http, f"/v1/alarms/{alarm['id']}/{command}", **body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["alarm"]["state"] == state


async def test_suppression_is_not_up_to_an_operator(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    assert problem(await http.post(f"/v1/alarms/{alarm['id']}/suppress")) == (403, "forbidden")


async def test_a_command_on_an_unknown_alarm_is_answered_404(http: httpx.AsyncClient) -> None:
    for alarm_id in ("none", "*"):
        unknown = await post(http, f"/v1/alarms/{alarm_id}/acknowledge", revision=1)
        assert problem(unknown) == (404, "unknown_alarm")
    assert problem(await post(http, "/v1/clear", source="x", type="y")) == (404, "unknown_alarm")


INVALID: list[tuple[dict[str, Any], str]] = [
    (RAISE | {"colour": "red"}, "colour"),
    (RAISE | {"severity": "fatal"}, "severity"),
    (RAISE | {"source": ""}, "source"),
    (RAISE | {"source": 7}, "source"),
    (RAISE | {"source": "a\u0000b"}, "source"),
    (RAISE | {"type": "a\nb"}, "type"),
    (RAISE | {"qualifier": "a\u2028b"}, "qualifier"),
    (RAISE | {"text": "x" * 5000}, "text"),
    (RAISE | {"labels": {"a": 1}}, "labels"),
    (RAISE | {"labels": {"a\0b": "c"}}, "a label's name"),
    (RAISE | {"details": {"n": 2**64}}, "64 bits"),
    (RAISE | {"details": {"a": "x" * 20_000}}, "details"),
    (RAISE | {"occurred_at": "2026-01-01T00:00:00"}, "occurred_at"),
    ({"source": "boiler-7", "severity": "major"}, "type"),
]


@pytest.mark.parametrize(("body", "named"), INVALID)
async def test_a_field_that_is_out_of_bounds_is_named(
    http: httpx.AsyncClient, body: dict[str, Any], named: str
) -> None:
    answer = await http.post("/v1/alarms", json=body)
    assert problem(answer) == (422, "invalid")
    assert named in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"source": "\xff"}', b'{"source": "a"'])
async def test_a_body_that_is_not_json_is_malformed(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/v1/alarms", content=body, headers={"content-type": "application/json"})
    assert problem(answer) == (400, "malformed_json")


async def test_an_acknowledgement_names_its_revision(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    assert problem(await post(http, f"/v1/alarms/{alarm['id']}/acknowledge")) == (422, "invalid")


async def test_another_media_type_is_refused(http: httpx.AsyncClient) -> None:
    assert problem(await http.post("/v1/alarms", data=RAISE)) == (415, "unsupported_media_type")


async def test_a_body_over_one_mebibyte_is_refused(http: httpx.AsyncClient) -> None:
    big = b" " * (1024 * 1024 + 1)
    headers = {"content-type": "application/json"}
    assert problem(await http.post("/v1/alarms", content=big, headers=headers)) == (413, "body_too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 65_536):
            yield big[start : start + 65_536]

    answer = await http.post("/v1/alarms", content=chunks(), headers=headers)
    assert problem(answer) == (413, "body_too_large")


async def test_paths_and_methods_that_are_not_there_are_problems(http: httpx.AsyncClient) -> None:
    assert problem(await http.get("/v2/nothing")) == (404, "not_found")
    refused = await http.delete("/v1/alarms")
    assert problem(refused) == (405, "method_not_allowed")
    assert "POST" in refused.headers["allow"]


class TestIdempotencyKey:
    async def test_the_same_key_and_body_get_the_first_answer(self, http: httpx.AsyncClient) -> None:
        key = {"idempotency-key": "k-1"}
        first = await http.post("/v1/alarms", json=RAISE, headers=key)
        await post(http, "/v1/clear", source="boiler-7", type="overpressure")
        second = await http.post("/v1/alarms", json=RAISE, headers=key)
        assert (second.status_code, second.json()) == (first.status_code, first.json())

    async def test_the_same_key_gets_the_first_refusal(self, http: httpx.AsyncClient) -> None:
        alarm = await raised(http)
        path, key = f"/v1/alarms/{alarm['id']}/confirm", {"idempotency-key": "k-2"}
        first = await http.post(path, headers=key)
        await post(http, f"/v1/alarms/{alarm['id']}/acknowledge", revision=1)
        second = await http.post(path, headers=key)
        assert problem(first) == problem(second) == (409, "not_acknowledged")

    async def test_another_body_under_the_key_is_refused(self, http: httpx.AsyncClient) -> None:
        key = {"idempotency-key": "k-3"}
        await http.post("/v1/alarms", json=RAISE, headers=key)
        answer = await http.post("/v1/alarms", json=RAISE | {"text": "other"}, headers=key)
        assert problem(answer) == (422, "idempotency_key_reused")

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256])
    async def test_a_key_has_its_bounds(self, http: httpx.AsyncClient, key: str) -> None:
        answer = await http.post("/v1/alarms", json=RAISE, headers={"idempotency-key": key})
        assert problem(answer) == (422, "invalid")


class FailingLog(MemoryLog):
    """A log that cannot be written."""

    def __init__(self, error: Exception) -> None:
        super().__init__("a-log")
        self._error = error

    async def append(self, before: Alarm, event: Event) -> Event:
        raise self._error


FAILURES: list[tuple[Exception, int, str]] = [
    (Unavailable("no primary"), 503, "unavailable"),
    (OutcomeUnknown("no answer"), 503, "outcome_unknown"),
    (RuntimeError("a secret"), 500, "internal"),
]


@pytest.mark.parametrize(("error", "status", "code"), FAILURES)
async def test_each_failure_of_the_log_has_its_status(error: Exception, status: int, code: str) -> None:
    async with HttpStage(FailingLog(error)).client() as http:
        answer = await http.post("/v1/alarms", json=RAISE)
    assert problem(answer) == (status, code)
    assert ("retry-after" in answer.headers) == isinstance(error, TocsinError)
    assert "secret" not in answer.text


async def test_the_trace_of_a_request_is_kept(http: httpx.AsyncClient, stage: HttpStage) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await http.post("/v1/alarms", json=RAISE, headers={"traceparent": trace})
    await http.post("/v1/alarms", json=RAISE | {"text": "other"}, headers={"traceparent": "nonsense"})
    assert [event.trace for event in (await stage.log.read(0, 10)).events] == [trace, None]
