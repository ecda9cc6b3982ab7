"""The client in a real browser, on a page of an origin that the servers allow, or do not."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, expect

from tests.kit.bursts import raising
from tests.kit.processes import REPOSITORY
from tests.kit.servers import TocsinServer
from tests.kit.streams import streaming
from tests.kit.web import Files

pytestmark = pytest.mark.e2e

CONSOLE = REPOSITORY / "entrypoints" / "console"
FOLLOWING = """new Promise((resolve) => {
  window.sources = [];
  const source = new EventSource("/v1/events?after=0");
  source.addEventListener("alarm.raised", ({ data }) => sources.push(JSON.parse(data).alarm.source));
  source.onopen = () => resolve();
})"""
PAGE = REPOSITORY / "tests" / "e2e" / "page.html"


@pytest.fixture
def origin() -> Iterator[str]:
    """Give the origin of the test's page."""
    # A real server: Chromium keeps a page that Playwright answers for away from loopback addresses.
    with Files(PAGE, CONSOLE / "tocsin.js", CONSOLE / "alarms.js") as files:
        yield f"http://{files.address}"


async def opened(browser: Browser, origin: str, *urls: str) -> Page:
    """Open the test's page, and let it connect to these WebSockets."""
    page = await browser.new_page()
    await page.goto(f"{origin}/page.html?url={quote(json.dumps(urls))}")
    return page


async def test_a_page_shows_the_list_and_goes_on_at_the_other_process(
    mongodb_uri: str, database: str, tmp_path: Path, browser: Browser, origin: str
) -> None:
    options = ("--allowed-origins", origin)
    with (
        TocsinServer(tmp_path, mongodb_uri, database, options=options) as doomed,
        TocsinServer(tmp_path, mongodb_uri, database, options=options) as other,
    ):
        async with other.client() as http:
            raised = (await http.post("/v1/alarms", json=raising(1))).json()
            await http.get("/v1/alarms", params={"min_position": raised["position"]})
            page = await opened(browser, origin, doomed.ws_url, other.ws_url)
            alarms = page.locator("#alarms li")
            await expect(alarms).to_have_text(["pump-1 unacked"])
            await asyncio.to_thread(doomed.kill)
            await http.post("/v1/alarms", json=raising(2))
            await http.post("/v1/clear", json={"source": "pump-1", "type": "hot"})
            await expect(alarms).to_have_text(["pump-1 rtn_unacked", "pump-2 unacked"])


async def test_a_browsers_own_event_source_resumes_by_itself(
    mongodb_uri: str, database: str, tmp_path: Path, browser: Browser
) -> None:
    with TocsinServer(tmp_path, mongodb_uri, database) as server:
        page = await browser.new_page()
        await page.goto(f"{server.url}/healthz")
        await page.evaluate(FOLLOWING)
        async with server.client() as http:
            await http.post("/v1/alarms", json=raising(1))
            await page.wait_for_function("sources.length === 1")
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            # It comes back when it likes: what happens before that is not to be missed.
            await http.post("/v1/alarms", json=raising(2))
        await page.wait_for_function("sources.length >= 2")
        assert await page.evaluate("sources") == ["pump-1", "pump-2"]


async def test_a_page_of_another_origin_is_sent_away_for_good(browser: Browser, origin: str) -> None:
    async with streaming() as streams:
        page = await opened(browser, origin, streams.url)
        await expect(page.locator("#state")).to_have_text("closed")
