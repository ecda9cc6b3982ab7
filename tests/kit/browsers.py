"""A real browser for the tests: the system's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tests.kit.components import component

if TYPE_CHECKING:
    from playwright.async_api import Browser

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
async def chromium() -> AsyncIterator["Browser"]:
    """Give a browser without a window; without Chromium or Playwright, skip (fail in CI)."""
    component("playwright", find_spec("playwright") is not None)
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    component("chromium", path is not None)
    from playwright.async_api import async_playwright  # noqa: PLC0415 (it may be missing)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            await browser.close()
