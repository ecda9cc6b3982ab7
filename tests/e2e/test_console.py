"""The operator's console in real browsers, with two server processes behind it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Servers
from tests.kit.bursts import raising
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

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
