"""The operator's console in real browsers, as several operators of a tenant of the test's own."""

import uuid
from collections.abc import Mapping
from typing import Any

import httpx
from playwright.async_api import Browser, Locator, Page, expect

from tests.kit.bursts import raising
from tests.kit.servers import TocsinServer
from tests.kit.tokens import bearing, token

ROLES = ("operator", "source")


class Console:
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

    async def state(self, source: str, state: str, seconds: float = 5.0) -> None:
        """Wait until the row shows a state."""
        await expect(self.row(source).locator(".c-state")).to_have_text(state, timeout=seconds * 1000)

    async def live(self) -> None:
        """Wait until the list is live."""
        await expect(self.page.locator("#connection-word")).to_have_text("Live")

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            await self.page.keyboard.press(key)


class Tenant:
    """A tenant that no other test sees, on servers that know the tests' secret."""

    def __init__(self, browser: Browser) -> None:
        self.name = f"tenant-{uuid.uuid4().hex}"
        self.consoles: list[Console] = []
        self._browser = browser

    async def opened(
        self, server: TocsinServer, query: str = "", subject: str = "ann", **options: Any
    ) -> Console:
        """Open the console of a process in a browser of its own, signed in, and wait until it is live."""
        context = await self._browser.new_context(**options)
        proof = token(subject, self.name, ROLES)
        await context.add_init_script(f"sessionStorage.setItem('tocsin.token', '{proof}')")
        console = Console(await context.new_page())
        self.consoles.append(console)
        await console.page.goto(f"{server.url}/{query}")
        await console.live()
        return console

    def client(self, server: TocsinServer) -> httpx.AsyncClient:
        """Return an HTTP client of the tenant."""
        headers = bearing(token("plant", self.name, ROLES))
        return httpx.AsyncClient(base_url=server.url, timeout=30.0, trust_env=False, headers=headers)

    async def raised(self, server: TocsinServer, number: int, **more: Any) -> Mapping[str, Any]:
        """Raise an alarm over HTTP; return it."""
        async with self.client(server) as http:
            answer = await http.post("/v1/alarms", json={**raising(number), **more})
            assert answer.is_success, answer.text
            alarm: dict[str, Any] = answer.json()["alarm"]
            return alarm
