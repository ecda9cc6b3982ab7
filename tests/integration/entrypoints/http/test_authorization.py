"""Who gets in over HTTP: roles, tenants, and pages that nobody asked."""

from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Route

from adapters.tokens.secret import SecretTokens
from core.access.callers import Caller
from core.roles import Role
from entrypoints.http.api import OPERATIONS, PERMISSIONS
from entrypoints.http.app import create_app
from entrypoints.http.schemas.bodies import BY_ID
from entrypoints.http.state import AppState, TenantOf
from entrypoints.process.routing_keys import tenant_of_routing_key
from tests.kit.http import HttpStage
from tests.kit.tokens import SECRET, bearing, token

RAISE: dict[str, Any] = {"source": "boiler-7", "type": "overpressure", "severity": "major"}
ROLES = ("source", "operator", "viewer", "admin")
AS = {role: bearing(token(role, roles=(role,))) for role in ROLES}

REPORTERS = frozenset[Role]({"source", "admin"})
OPERATORS = {"operator", "admin"}
READERS = frozenset[Role]({"operator", "viewer", "admin"})
ADMINS = {"admin"}
OPEN = {each.path for each in OPERATIONS if each.credential_in_body}


def app_of(stage: HttpStage, tenant_of: TenantOf | None = None, **options: Any) -> Starlette:
    state = AppState(services=stage.services)
    return create_app(state if tenant_of is None else replace(state, tenant_of=tenant_of), **options)


@pytest.fixture
def stage() -> HttpStage:
    return HttpStage(tokens=SecretTokens(SECRET))


@pytest.fixture
def app(stage: HttpStage) -> Starlette:
    return app_of(stage)


def client_of(app: Starlette, url: str = "http://tocsin") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url)


@pytest_asyncio.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def raised(http: httpx.AsyncClient, tenant: str = "default", **more: Any) -> dict[str, Any]:
    header = bearing(token("plc-1", tenant, ("source",)))
    answer = await http.post("/v1/alarms", json=RAISE | more, headers=header)
    assert answer.status_code == 201
    alarm: dict[str, Any] = answer.json()["alarm"]
    return alarm


async def test_without_a_token_every_route_is_shut_but_health(
    app: Starlette, http: httpx.AsyncClient
) -> None:
    opened = set()
    for route in app.routes:
        assert isinstance(route, Route)
        for method in route.methods or ():
            answer = await http.request(method, route.path)
            if answer.status_code != 401:
                opened.add(route.path)
                continue
            assert method == "HEAD" or problem(answer) == (401, "token_missing")
            assert answer.headers["www-authenticate"] == 'Bearer realm="tocsin"'
    described = {"/openapi.json", "/asyncapi.json", "/docs", "/docs/reference.css"}
    console = {"/", "/console/{name:path}"}
    assert opened == {"/healthz", "/readyz"} | described | console | OPEN


@pytest.mark.parametrize(
    "header",
    [
        "Bearer nonsense",
        f"Bearer {token(seconds=-1)}",
        f"Bearer tck_{'0' * 32}_{'x' * 43}",
        f"bearer {token()}x",
    ],
)
async def test_a_bad_token_says_so(http: httpx.AsyncClient, header: str) -> None:
    answer = await http.get("/v1/alarms", headers={"Authorization": header})
    assert answer.status_code == 401
    assert problem(answer)[1] in ("token_invalid", "expired")
    assert answer.headers["www-authenticate"] == 'Bearer realm="tocsin", error="invalid_token"'


@pytest.mark.parametrize("header", ["Basic YTpi", token(), "Bearer", "Bearer "])
async def test_a_header_of_another_scheme_is_no_token(http: httpx.AsyncClient, header: str) -> None:
    answer = await http.get("/v1/alarms", headers={"Authorization": header})
    assert problem(answer) == (401, "token_missing")


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("POST", "/v1/alarms", REPORTERS),
        ("POST", "/v1/clear", REPORTERS),
        ("POST", "/v1/ingest/alertmanager", REPORTERS),
        ("POST", "/v1/alarms/x/suppress", REPORTERS),
        ("POST", "/v1/alarms/x/unsuppress", REPORTERS),
        *(
            ("POST", f"/v1/alarms/x/{name}", OPERATORS)
            for name in BY_ID
            if name not in ("suppress", "unsuppress")
        ),
        ("POST", "/v1/alarms/x/something_new", ADMINS),
        ("POST", "/v1/commands", {"source", "operator", "admin"}),
        ("GET", "/v1/alarms", READERS),
        ("HEAD", "/v1/alarms", READERS),
        ("GET", "/v1/alarms/x", READERS),
        ("GET", "/v1/events", READERS),
        ("GET", "/v1/something-new", READERS),
        ("POST", "/v1/something-new", ADMINS),
        ("DELETE", "/v1/alarms/x", ADMINS),
        ("GET", "/v1/api-keys", ADMINS),
        ("POST", "/v1/api-keys", ADMINS),
        ("DELETE", "/v1/api-keys/x", ADMINS),
        ("GET", "/v1/sessions", ADMINS),
        ("POST", "/v1/sessions/disconnect", ADMINS),
        ("GET", "/v1/webhooks", ADMINS),
        ("PATCH", "/v1/webhooks/x", ADMINS),
        ("GET", "/v1/outbox", ADMINS),
        ("POST", "/v1/outbox/x/retry", ADMINS),
    ],
)
async def test_each_role_may_do_what_is_its_own(
    http: httpx.AsyncClient, method: str, path: str, may: AbstractSet[str]
) -> None:
    answers = {role: await http.request(method, path, headers=AS[role]) for role in ROLES}
    refused = {role for role, answer in answers.items() if answer.status_code == 403}
    assert refused == set(ROLES) - may
    assert method == "HEAD" or all(problem(answers[role]) == (403, "forbidden") for role in refused)


def test_a_token_without_a_role_may_do_nothing_and_the_console_is_for_all() -> None:
    roles_for = PERMISSIONS.roles_for
    assert roles_for("GET", "/") is roles_for("GET", "/docs") is roles_for("GET", "/console/app.js") is None
    assert roles_for("GET", "/v1") == roles_for("GET", "/v1/") == roles_for("GET", "/metrics") == READERS
    assert {roles_for("POST", path) == REPORTERS for path in OPEN} == {True}


async def test_a_role_of_another_system_opens_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/alarms", headers=bearing(token(roles=("root",))))
    assert problem(answer) == (403, "forbidden")


async def test_each_of_several_commands_needs_its_own_role(http: httpx.AsyncClient) -> None:
    alarm = (await raised(http))["id"]
    commands = [
        {"command": "raise", **RAISE},
        {"command": "clear", "source": RAISE["source"], "type": RAISE["type"]},
        {"command": "clear", "alarm_id": alarm},
        {"command": "acknowledge", "alarm_id": alarm, "revision": 1},
    ]
    allowed: dict[str, list[bool]] = {}
    for role in ("source", "operator", "admin"):
        answer = await http.post("/v1/commands", json=commands, headers=AS[role])
        forbidden = [each.get("code") == "forbidden" and each["status"] == 403 for each in answer.json()]
        allowed[role] = [not each for each in forbidden]
    assert allowed == {
        "source": [True, True, False, False],
        "operator": [False, False, True, True],
        "admin": [True, True, True, True],
    }
    assert problem(await http.post("/v1/commands", json=commands, headers=AS["viewer"])) == (403, "forbidden")


ADMIN = Caller(tenant="acme", subject="ann", roles=frozenset({"admin"}))
BODIES: dict[str, dict[str, Any]] = {
    "acknowledge": {"revision": 1},
    "assign": {"assignee": "x"},
    "comment": {"text": "x"},
    "remove_from_service": {"reason": "x"},
    "place_in_service": {"reason": "x"},
}
PAGERDUTY = {
    "event_action": "trigger",
    "payload": {"summary": "too hot", "source": "boiler-7", "severity": "error"},
}


async def test_a_routing_key_is_a_credential(stage: HttpStage) -> None:
    made = await stage.services.authentication.create_key(ADMIN, "pager", frozenset({"source"}), None)
    async with client_of(app_of(stage, tenant_of=tenant_of_routing_key("k=acme", None))) as http:
        for key, status in (("k", 202), (made.text, 202), (f"{made.text[:-1]}_", 400), ("x", 400)):
            answer = await http.post("/v2/enqueue", json=PAGERDUTY | {"routing_key": key})
            assert answer.status_code == status
        listed = await http.get("/v1/events", headers=bearing(token("ann", "acme", ("viewer",))))
        assert len(listed.json()["events"]) == 2


async def test_a_token_beside_a_routing_key_says_whose_the_event_is(http: httpx.AsyncClient) -> None:
    body = PAGERDUTY | {"routing_key": "any"}
    assert (await http.post("/v2/enqueue", json=body, headers=AS["source"])).status_code == 202
    assert problem(await http.post("/v2/enqueue", json=body, headers=AS["viewer"])) == (403, "forbidden")


async def test_a_tenant_sees_and_touches_nothing_of_another(
    http: httpx.AsyncClient, stage: HttpStage
) -> None:
    own, foreign = await raised(http, "acme"), await raised(http, "other")
    assert own["id"] != foreign["id"]
    await stage.project()
    header = bearing(token("ann", "acme", ("admin",)))
    listed = (await http.get("/v1/alarms", headers=header)).json()["alarms"]
    events = (await http.get("/v1/events", headers=header)).json()["events"]
    assert [alarm["id"] for alarm in listed] == [event["alarm"]["id"] for event in events] == [own["id"]]
    for path in ("", "/events"):
        answer = await http.get(f"/v1/alarms/{foreign['id']}{path}", headers=header)
        assert problem(answer) == (404, "unknown_alarm")
    for name in BY_ID:
        answer = await http.post(
            f"/v1/alarms/{foreign['id']}/{name}", headers=header, json=BODIES.get(name, {})
        )
        assert problem(answer) == (404, "unknown_alarm")


async def test_an_event_tells_who_caused_it(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    path = f"/v1/alarms/{alarm['id']}"
    await http.post(f"{path}/acknowledge", json={"revision": 1}, headers=AS["operator"])
    assert (await http.post(f"{path}/suppress", headers=AS["source"])).status_code == 200
    assert (await http.post(f"{path}/unsuppress", headers=AS["admin"])).status_code == 200
    events = (await http.get(f"{path}/events", headers=AS["viewer"])).json()["events"]
    assert [event["actor"] for event in events] == [
        {"id": "plc-1", "kind": "source"},
        {"id": "operator", "kind": "operator"},
        {"id": "source", "kind": "source"},
        {"id": "admin", "kind": "operator"},
    ]


async def test_a_source_suppresses_as_a_source_whatever_else_it_may(http: httpx.AsyncClient) -> None:
    alarm = await raised(http)
    both = bearing(token("plc-9", roles=("admin", "source")))
    assert (await http.post(f"/v1/alarms/{alarm['id']}/suppress", headers=both)).status_code == 200
    assert await actors_after_raising(http, alarm["id"]) == [{"id": "plc-9", "kind": "source"}]


async def test_suppression_in_bulk_tells_who_it_was_too(http: httpx.AsyncClient) -> None:
    alarm = (await raised(http))["id"]
    for role, command, status in (
        ("admin", "suppress", 200),
        ("source", "unsuppress", 200),
        ("operator", "suppress", 403),
    ):
        said = [{"command": command, "alarm_id": alarm, "reason": "start-up"}]
        (answer,) = (await http.post("/v1/commands", json=said, headers=AS[role])).json()
        assert answer["status"] == status
    assert await actors_after_raising(http, alarm) == [
        {"id": "admin", "kind": "operator"},
        {"id": "source", "kind": "source"},
    ]


async def actors_after_raising(http: httpx.AsyncClient, alarm: str) -> list[dict[str, str]]:
    events = (await http.get(f"/v1/alarms/{alarm}/events", headers=AS["viewer"])).json()["events"]
    return [event["actor"] for event in events[1:]]


async def test_alertmanager_reports_with_a_key(http: httpx.AsyncClient) -> None:
    made = (await http.post("/v1/api-keys", json={"name": "am"}, headers=AS["admin"])).json()
    alert = {"status": "firing", "labels": {"alertname": "Disk", "instance": "db"}, "fingerprint": "f"}
    payload = {
        "version": "4",
        "status": "firing",
        "receiver": "tocsin",
        "alerts": [alert | {"startsAt": "2026-01-01T00:00:00Z", "annotations": {}}],
    }
    answer = await http.post("/v1/ingest/alertmanager", json=payload, headers=bearing(made["key"]))
    assert (answer.status_code, answer.json()) == (200, {"alerts": 1, "refused": 0})
    (event,) = (await http.get("/v1/events", headers=AS["viewer"])).json()["events"]
    assert event["actor"] == {"id": "key:am", "kind": "source"}


async def test_a_key_is_shown_once_and_is_no_more_once_revoked(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/api-keys", json={"name": "plc"}, headers=AS["admin"])
    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert made["key"].startswith(f"tck_{made['id']}_")
    listed = (await http.get("/v1/api-keys", headers=AS["admin"])).json()["api_keys"]
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    assert (listed[0]["name"], listed[0]["roles"], listed[0]["created_by"]) == ("plc", ["source"], "admin")
    header = bearing(made["key"])
    assert (await http.post("/v1/alarms", json=RAISE, headers=header)).status_code == 201
    assert problem(await http.get("/v1/alarms", headers=header)) == (403, "forbidden")
    changed = made["key"][:-1] + ("A" if made["key"][-1] != "A" else "B")
    assert (await http.post("/v1/alarms", json=RAISE, headers=bearing(changed))).status_code == 401
    stranger = bearing(token("eve", "other", ("admin",)))
    path = f"/v1/api-keys/{made['id']}"
    assert problem(await http.delete(path, headers=stranger)) == (404, "unknown_api_key")
    assert (await http.get("/v1/api-keys", headers=stranger)).json() == {"api_keys": []}
    assert (await http.delete(path, headers=AS["admin"])).status_code == 204
    assert problem(await http.delete(path, headers=AS["admin"])) == (404, "unknown_api_key")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x", "roles": []},
        {"name": "x", "roles": ["root"]},
        {"name": "x", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "expires_at": "2100-01-01T00:00:00"},
        {"name": "x", "tenant": "other"},
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await http.post("/v1/api-keys", json=body, headers=AS["admin"])
    assert problem(answer) == (422, "invalid")


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        ("https://evil.example", True),
        ("null", True),
        ("http://tocsin:99", True),
        ("http://tocsin", False),
        ("https://ops.example", False),
    ],
)
@pytest.mark.parametrize("tokens", [SecretTokens(SECRET), None])
async def test_pages_of_other_origins_change_nothing(
    origin: str, tokens: SecretTokens | None, *, refused: bool
) -> None:
    app = app_of(HttpStage(tokens=tokens), allowed_origins=["https://ops.example"])
    async with client_of(app) as http:
        header = AS["admin"] | {"Origin": origin}
        answer = await http.post("/v1/alarms", json=RAISE, headers=header)
        assert (await http.get("/v1/alarms", headers=header)).status_code == 200
    assert (problem(answer) == (403, "forbidden_origin")) if refused else answer.status_code == 201


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("tocsin.localhost:8080", 200),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("[bad", 403),
        ("", 403),
    ],
)
async def test_without_authentication_only_loopback_names_are_served(host: str, status: int) -> None:
    async with client_of(app_of(HttpStage(), local=True)) as http:
        answer = await http.get("/v1/alarms", headers={"Host": host})
    assert answer.status_code == status


async def test_without_authentication_everybody_may() -> None:
    async with client_of(app_of(HttpStage())) as anybody:
        assert (await anybody.post("/v1/alarms", json=RAISE)).status_code == 201
        assert (await anybody.get("/v1/sessions")).json() == {"sessions": []}
        (event,) = (await anybody.get("/v1/events")).json()["events"]
    assert event["actor"] == {"id": "boiler-7", "kind": "source"}
