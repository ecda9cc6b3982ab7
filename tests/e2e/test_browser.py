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


async def test_a_page_of_another_origin_is_sent_away_for_good(browser: Browser, origin: str) -> None:
    async with streaming() as streams:
        page = await opened(browser, origin, streams.url)
        await expect(page.locator("#state")).to_have_text("closed")
