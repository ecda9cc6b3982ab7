"""The operator's console in real browsers, with two server processes behind it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Servers
from tests.kit.bursts import raising
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET, token

pytestmark = pytest.mark.e2e

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=1</script>"\' javascript:alert(1)'


class Opened:
    """A page of the console, and everything that went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self._said(said.text) if said.type == "error" else None)

    def _said(self, text: str) -> None:
        # A process that is away cannot be reached, which is what some tests are about.
        if "WebSocket connection" not in text and "Failed to load resource" not in text:
            self.errors.append(text)

    def row(self, source: str) -> Locator:
        """Return the row of the alarm of a source."""
        return self.page.locator("#grid-body .row:not([hidden])").filter(
            has=self.page.locator(".c-source").get_by_text(source, exact=True)
        )

    async def state(self, source: str, state: str) -> None:
        """Wait until the row shows a state."""
        await expect(self.row(source).locator(".c-state")).to_have_text(state)

    async def live(self) -> None:
        """Wait until the list is live."""
        await expect(self.page.locator("#connection-word")).to_have_text("Live")


async def opened(browser: Browser, server: TocsinServer, query: str = "", **options: Any) -> Opened:
    """Open the console of a process in a browser of its own."""
    context = await browser.new_context(**options)
    console = Opened(await context.new_page())
    await console.page.goto(f"{server.url}/{query}")
    await console.live()
    return console


async def raised(server: TocsinServer, number: int, **more: Any) -> dict[str, Any]:
    """Raise an alarm over HTTP; return it."""
    async with server.client() as http:
        answer = await http.post("/v1/alarms", json={**raising(number), **more})
        assert answer.is_success, answer.text
        alarm: dict[str, Any] = answer.json()["alarm"]
        return alarm


@pytest.fixture
def server(replica_set: ReplicaSet, database: str, tmp_path: Path) -> Iterator[TocsinServer]:
    """Give one running server."""
    with TocsinServer(tmp_path, replica_set.uri, database) as running:
        yield running


@pytest_asyncio.fixture
async def two(browser: Browser, servers: Servers) -> AsyncIterator[tuple[Opened, Opened]]:
    """Give the console in two browsers, each on a process of its own."""
    first, second = servers
    consoles = await opened(browser, first), await opened(browser, second)
    yield consoles
    for console in consoles:
        assert console.errors == []


async def test_what_one_operator_does_on_one_process_another_sees_on_the_other(
    two: tuple[Opened, Opened], servers: Servers
) -> None:
    here, there = two
    await raised(servers[0], 1, text=HOSTILE, qualifier=HOSTILE, labels={"<b>": HOSTILE})
    for console in two:
        await console.state("pump-1", "Unacked")
        # What came from outside stands there letter by letter, and is nothing but text.
        await expect(console.row("pump-1").locator(".c-text")).to_have_text(HOSTILE)
    await here.row("pump-1").get_by_role("button").click()
    await there.state("pump-1", "Acked")
    await expect(there.row("pump-1").locator(".c-acked_by")).to_have_text("anonymous")
    await expect(there.page.locator("#counts")).to_contain_text("0 unacknowledged")
    await there.row("pump-1").locator(".c-source").click()
    details = there.page.locator("#details")
    await expect(details.locator(".details-text")).to_have_text(HOSTILE)
    await expect(details.locator(".timeline b")).to_have_text(["Acknowledged", "Raised"])
    assert await there.page.locator("#details img, #details script, #grid img, #grid script").count() == 0
    assert await there.page.title() == "Tocsin"


async def test_a_lost_process_is_unmistakable_and_nothing_is_missed(
    two: tuple[Opened, Opened], servers: Servers
) -> None:
    (here, _), (doomed, other) = two, servers
    await raised(other, 1)
    await here.state("pump-1", "Unacked")
    await asyncio.to_thread(doomed.kill)
    await expect(here.page.locator("#lost")).to_contain_text("Connection lost")
    await expect(here.page.locator("#grid")).to_have_class("grid stale")
    await here.row("pump-1").get_by_role("button").click()
    await raised(other, 2)
    await asyncio.to_thread(doomed.start)
    await expect(here.page.locator("#lost")).to_be_hidden(timeout=20_000)
    await expect(here.page.locator("#grid")).to_have_class("grid")
    await here.state("pump-2", "Unacked")
    # The command was sent again, under the same key, until somebody answered.
    await here.state("pump-1", "Acked")


async def test_an_operator_works_by_keys_alone(browser: Browser, server: TocsinServer) -> None:
    for number in (1, 2, 3):
        await raised(server, number)
    console = await opened(browser, server)
    page, keys = console.page, console.page.keyboard
    await console.state("pump-3", "Unacked")
    # The newest comes first; selecting two and acknowledging them is one request.
    for key in ("j", "x", "j", "x", "a"):
        await keys.press(key)
    for source in ("pump-3", "pump-2"):
        await console.state(source, "Acked")
    await console.state("pump-1", "Unacked")
    await expect(page.locator("#toasts")).to_contain_text("2 alarms acknowledged")
    await keys.press("g")
    for key in ("s", "Tab"):
        await keys.press(key)
    await keys.type("being repaired")
    for key in ("Tab", "Tab", "Enter"):
        await keys.press(key)
    await console.state("pump-1", "Shelved")
    await keys.press("/")
    await keys.type("pump-1")
    await expect(page.locator("#shown")).to_have_text("1 shown")
    for key in ("Escape", "j", "Enter"):
        await keys.press(key)
    await expect(page.locator("#details")).to_be_focused()
    await expect(page.locator("#details")).to_contain_text("being repaired")
    await page.reload()
    await console.live()
    # Filter and opened alarm are in the address.
    await expect(page.locator("#shown")).to_have_text("1 shown")
    await expect(page.locator("#details h2")).to_have_text("pump-1")
    await keys.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    assert console.errors == []


async def test_a_refusal_is_told_beside_the_row_and_a_pause_hides_no_critical(
    browser: Browser, server: TocsinServer
) -> None:
    alarm = await raised(server, 1)
    console = await opened(browser, server, "?severity=major")
    await console.state("pump-1", "Unacked")
    await console.page.keyboard.press("p")
    async with server.client() as http:
        await http.post(f"/v1/alarms/{alarm['id']}/acknowledge", json={"revision": alarm["revision"]})
    await expect(console.page.locator("#pause")).to_have_text("Paused · 1 wait")
    await raised(server, 2, severity="critical", text="burst")
    await expect(console.page.locator("#critical")).to_have_text("Critical: pump-2 hot. burst")
    await expect(console.page.locator("#hidden-criticals")).to_contain_text("1 unacknowledged critical alarm")
    await console.row("pump-1").get_by_role("button").click()
    await expect(console.page.locator("#row-notice")).to_contain_text("acknowledged")
    await console.page.get_by_role("button", name="Show them").click()
    await console.state("pump-2", "Unacked")
    assert console.errors == []


async def test_the_list_as_of_any_event(browser: Browser, server: TocsinServer) -> None:
    for number in (1, 2):
        await raised(server, number)
    async with server.client() as http:
        await http.post("/v1/clear", json={"source": "pump-1", "type": "hot"})
    console = await opened(browser, server, "?as_of=3")
    page = console.page
    await console.state("pump-1", "Returned, unacked")
    await page.get_by_role("button", name="◀ Event").click()
    await console.state("pump-1", "Unacked")
    await expect(console.row("pump-1").get_by_role("button")).to_be_hidden()
    await page.get_by_role("button", name="◀ Event").click()
    await expect(console.row("pump-2")).to_have_count(0)
    await expect(page).to_have_url(f"{server.url}/?as_of=1")
    await page.get_by_role("slider").fill("0")
    await expect(page.locator("#travel-bar")).to_contain_text("Nothing had been recorded by then")
    await page.get_by_role("button", name="Back to live").click()
    await console.state("pump-2", "Unacked")
    assert console.errors == []


async def test_a_server_with_a_secret_asks_for_a_token(
    browser: Browser, replica_set: ReplicaSet, database: str, tmp_path: Path
) -> None:
    env = {"TOCSIN_AUTH_SECRET": SECRET}
    with TocsinServer(tmp_path, replica_set.uri, database, env=env) as server:
        page = await browser.new_page()
        await page.goto(server.url)
        await expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        await page.get_by_label("Token").fill("nonsense")
        await page.keyboard.press("Enter")
        await expect(page.locator("#sign-in-problem")).not_to_be_empty()
        await page.get_by_label("Token").fill(token("ann"))
        await page.keyboard.press("Enter")
        await expect(page.locator("#connection-word")).to_have_text("Live")
        await expect(page.locator("#who")).to_have_text("ann")
        assert await page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(browser: Browser, server: TocsinServer, scheme: str) -> None:
    await raised(server, 1, severity="critical", labels={"area": "north"})
    await raised(server, 2)
    console = await opened(browser, server, color_scheme=scheme)
    page = console.page
    await console.state("pump-1", "Unacked")
    found = {"list": await serious(page)}
    for key in ("j", "x", "Enter"):
        await page.keyboard.press(key)
    await expect(page.locator("#details .timeline li")).to_have_count(1)
    found["details"] = await serious(page)
    await page.keyboard.press("s")
    found["shelve"] = await serious(page)
    await page.keyboard.press("Escape")
    await page.keyboard.press("t")
    await expect(page.locator("#travel-bar")).to_be_visible()
    found["travel"] = await serious(page)
    await page.get_by_role("button", name="Back to live").click()
    await page.keyboard.press("?")
    found["keys"] = await serious(page)
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="KPIs").click()
    await expect(page.get_by_role("heading", name="Alarm system performance")).to_be_visible()
    found["kpis"] = await serious(page)
    assert {name: each for name, each in found.items() if each} == {}


async def serious(page: Page) -> list[str]:
    """Return what axe-core finds that would keep somebody out."""
    await page.evaluate(AXE)
    answer = await page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']}: {each['nodes'][0]['html']}"
        for each in answer["violations"]
        if each["impact"] in ("serious", "critical")
    ]
