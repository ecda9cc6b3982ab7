"""A real browser for the tests: the system's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tests.kit.components import component

OPTIONS = (
    # As root, as which CI runs, Chromium has no sandbox; /dev/shm is small in a container.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    # Nothing but the tests' own servers is to be called.
    "--disable-background-networking",
    "--no-proxy-server",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Give a browser without a window; without Chromium, skip (fail in CI)."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    component("chromium", path is not None)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            await browser.close()
