"""Webhooks and the outbox over HTTP, and webhooks from a file."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import standardwebhooks
from msgspec.structs import replace

from adapters.memory.outbox import MemoryOutbox
from core.errors import StartupRefused
from core.outbox.row import Settlement
from core.outbox.webhook import WEBHOOKS
from entrypoints.process.webhooks_file import NOT_IN_FILE, WebhookEntry, apply_entries, read_entries
from tests.kit.http import HttpStage
from tests.kit.outgoing import NOON, SECRET, row, webhook
from tests.kit.receiver import receiving

URL = "http://127.0.0.1:9/hook"


@pytest_asyncio.fixture
async def client(stage: HttpStage) -> AsyncIterator[httpx.AsyncClient]:
    async with stage.client() as made:
        yield made


async def made(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/webhooks", json={"url": URL, **body})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/v1/webhooks/{answer['webhook']['id']}"
    return answer


async def test_a_secret_is_shown_once(client: httpx.AsyncClient) -> None:
    answer = await made(client, description="pager", filter={"min_severity": "major"})
    assert len(answer["secrets"]) == 1
    assert answer["secrets"][0].startswith("whsec_")
    path = f"/v1/webhooks/{answer['webhook']['id']}"
    for response in (
        await client.get(path),
        await client.get("/v1/webhooks"),
        await client.patch(path, json={"description": "other"}),
    ):
        assert response.status_code == 200
        assert "whsec_" not in response.text
    shown = (await client.get(path)).json()["webhook"]
    assert (shown["description"], shown["secret_count"]) == ("other", 1)
    assert shown["filter"] == {"min_severity": "major"}


async def test_a_secret_is_rotated_and_only_the_new_one_shown(
    client: httpx.AsyncClient, stage: HttpStage
) -> None:
    first = await made(client, secrets=[SECRET])
    path = f"/v1/webhooks/{first['webhook']['id']}"
    rotated = (await client.patch(path, json={"rotate": True})).json()
    assert len(rotated["secrets"]) == 1
    assert rotated["secrets"] != [SECRET]
    assert rotated["webhook"]["secret_count"] == 2
    async with receiving() as receiver:
        await client.patch(path, json={"url": receiver.url})
        assert (await client.post(f"{path}/test")).json()["delivered"]
        sent = receiver.deliveries[0]
    for secret in (SECRET, *rotated["secrets"]):
        standardwebhooks.Webhook(secret).verify(sent.body, sent.headers)
    assert (await client.patch(path, json={"keep_secrets": 1})).json()["webhook"]["secret_count"] == 1
    kept = (await stage.webhooks.all())[0]
    assert list(kept.secrets) == rotated["secrets"]


async def test_a_test_call_says_what_came_of_it(client: httpx.AsyncClient) -> None:
    async with receiving(lambda _: "error") as receiver:
        path = f"/v1/webhooks/{(await made(client, url=receiver.url))['webhook']['id']}"
        answer = (await client.post(f"{path}/test")).json()
    assert (answer["delivered"], answer["status"], answer["error"]) == (False, 500, "HTTP 500")
    assert receiver.deliveries[0].event["type"] == "webhook.test"


async def test_a_webhook_is_removed_with_its_rows(client: httpx.AsyncClient, stage: HttpStage) -> None:
    name = (await made(client))["webhook"]["id"]
    await stage.outbox.add([row(1, hook=name)])
    assert (await client.delete(f"/v1/webhooks/{name}")).status_code == 204
    assert (await client.get("/v1/outbox")).json() == {"rows": [], "next": None}
    for response in (await client.get(f"/v1/webhooks/{name}"), await client.delete(f"/v1/webhooks/{name}")):
        assert (response.status_code, response.json()["code"]) == (404, "unknown_webhook")


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://x/"},
        {"url": "http://10.0.0.1/"},
        {"url": "http://u:p@example.com/"},
        {"url": URL, "secrets": ["short"]},
        {"url": URL, "secrets": [SECRET, SECRET]},
        {"url": URL, "format": "pagerduty"},
        {"url": URL, "format": "slack", "secrets": [SECRET]},
        {"url": URL, "format": "carrier pigeon"},
        {"url": URL, "routing_key": "R"},
        {"url": URL, "after": 1},
        {"url": URL, "after": -1},
        {"url": URL, "after": "then"},
        {"url": URL, "filter": {"sources": ["*"]}},
        {"url": URL, "more": 1},
        {},
    ],
)
async def test_a_webhook_that_cannot_be_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    response = await client.post("/v1/webhooks", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid")
    assert "short" not in response.json()["detail"]


async def test_a_tenant_has_at_most_so_many_webhooks(client: httpx.AsyncClient, stage: HttpStage) -> None:
    for number in range(WEBHOOKS):
        await stage.services.outgoing.webhooks.add(webhook(f"hook-{number}"))
    response = await client.post("/v1/webhooks", json={"url": URL})
    assert (response.status_code, response.json()["code"]) == (409, "too_many_webhooks")


async def test_only_a_disabled_webhook_is_moved_and_only_forward(client: httpx.AsyncClient) -> None:
    path = f"/v1/webhooks/{(await made(client))['webhook']['id']}"
    await client.post("/v1/alarms", json={"source": "s", "type": "t", "severity": "major"})
    response = await client.patch(path, json={"after": "now"})
    assert (response.status_code, response.json()["code"]) == (409, "webhook_enabled")
    await client.patch(path, json={"enabled": False})
    moved = await client.patch(path, json={"after": "now", "enabled": True})
    assert (moved.json()["webhook"]["after"], moved.json()["webhook"]["enabled"]) == (1, True)
    await client.patch(path, json={"enabled": False})
    response = await client.patch(path, json={"after": 0})
    assert (response.status_code, response.json()["code"]) == (409, "already_routed")


async def test_the_outbox_is_listed_page_by_page_and_retried(
    client: httpx.AsyncClient, stage: HttpStage
) -> None:
    outbox = stage.services.outgoing.outbox
    assert isinstance(outbox, MemoryOutbox)
    await stage.services.outgoing.webhooks.add(webhook("hook"))
    rows = [row(number) for number in range(1, 6)]
    await outbox.add(rows)
    for each, state in ((rows[1], "dead"), (rows[2], "dead"), (rows[3], "delivered")):
        await outbox.settle([Settlement(replace(each, state=state, attempts=10, settled_at=NOON))])
    page = (await client.get("/v1/outbox?limit=2")).json()
    assert ([each["id"] for each in page["rows"]], page["next"]) == (["1:hook", "2:hook"], "2:hook")
    rest = (await client.get(f"/v1/outbox?limit=3&cursor={page['next']}")).json()
    assert ([each["id"] for each in rest["rows"]], rest["next"]) == (["3:hook", "5:hook"], None)
    assert "body" not in rest["rows"][0]
    assert len((await client.get("/v1/outbox?state=delivered")).json()["rows"]) == 1
    assert len((await client.get("/v1/outbox?state=all")).json()["rows"]) == 5
    retried = await client.post("/v1/outbox/2:hook/retry")
    assert (retried.status_code, retried.json()["row"]["state"]) == (200, "pending")
    assert (await client.post("/v1/outbox/4:hook/retry")).json()["code"] == "already_delivered"
    assert (await client.post("/v1/outbox/9:hook/retry")).json()["code"] == "unknown_row"
    assert (await client.post("/v1/outbox/nonsense/retry")).status_code == 404
    bulk = await client.post("/v1/outbox/retry", json={"webhook": "hook"})
    assert bulk.json() == {"retried": 1, "overtaken": 0, "next": None}
    assert (await client.get("/v1/outbox?state=dead")).json()["rows"] == []


@pytest.mark.parametrize(
    "query", ["state=odd", "limit=0", "limit=1001", "limit=x", "more=1", "webhook=a&webhook=b"]
)
async def test_a_query_that_makes_no_sense_is_refused(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/outbox?{query}")).status_code == 422


async def test_a_cursor_that_is_made_up_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/outbox?cursor=x")).json()["code"] == "bad_cursor"


def entries(path: Path, text: str) -> Sequence[WebhookEntry]:
    path.write_text(text)
    return read_entries(path)


async def test_a_webhooks_file_makes_changes_and_disables_webhooks(stage: HttpStage, tmp_path: Path) -> None:
    outgoing, webhooks = stage.services.outgoing, stage.webhooks
    toml = f'[[webhooks]]\nid = "noc"\nurl = "{URL}"\nsecrets = ["{SECRET}"]\nfilter.sources = ["line/*"]\n'
    both = toml + f'[[webhooks]]\nid = "chat"\nurl = "{URL}"\nformat = "slack"\n'
    await apply_entries(entries(tmp_path / "w.toml", both), outgoing, webhooks)
    await apply_entries(entries(tmp_path / "w.toml", both), outgoing, webhooks)
    chat, noc = await webhooks.all()
    assert (noc.from_file, noc.secrets, noc.filter.sources) == (True, (SECRET,), frozenset({"line/*"}))
    await webhooks.change("default", "noc", {"enabled": False, "disabled_reason": "HTTP 410"})
    json = f'{{"webhooks": [{{"id": "noc", "url": "{URL}2", "secrets": ["{SECRET}"]}}]}}'
    await apply_entries(entries(tmp_path / "w.json", json), outgoing, webhooks)
    chat, noc = await webhooks.all()
    assert (chat.enabled, chat.disabled_reason) == (False, NOT_IN_FILE)
    assert (noc.url, noc.enabled) == (f"{URL}2", False), "what asked for no more is not enabled by a restart"
    await apply_entries(entries(tmp_path / "w.toml", both), outgoing, webhooks)
    assert (await webhooks.all())[0].enabled


async def test_a_webhook_that_the_file_keeps_is_not_changed_over_http(
    client: httpx.AsyncClient, stage: HttpStage
) -> None:
    await stage.services.outgoing.webhooks.add(webhook("noc", from_file=True))
    for response in (
        await client.patch("/v1/webhooks/noc", json={"enabled": False}),
        await client.delete("/v1/webhooks/noc"),
    ):
        assert (response.status_code, response.json()["code"]) == (409, "webhook_of_file")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"webhooks": [{"id": "a"}]}',
        '{"webhooks": [{"id": "a", "url": "http://127.0.0.1/"}]}',
        '{"webhooks": [{"id": "a b", "url": "http://127.0.0.1/", "format": "slack"}]}',
        '{"webhooks": [{"id": "a", "url": "http://10.0.0.1/", "format": "slack"}]}',
        '{"webhooks": [{"id": "a", "url": "http://127.0.0.1/", "format": "slack", "after": 7}]}',
        '{"webhooks": [{"id": "a", "url": "u"}, {"id": "a", "url": "u"}]}',
    ],
)
async def test_a_webhooks_file_that_makes_no_sense_refuses_the_start(
    stage: HttpStage, tmp_path: Path, text: str
) -> None:
    with pytest.raises(StartupRefused):
        await apply_entries(entries(tmp_path / "w.json", text), stage.services.outgoing, stage.webhooks)


def test_a_webhooks_file_that_is_not_there_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match="cannot be read"):
        read_entries(tmp_path / "none.toml")
