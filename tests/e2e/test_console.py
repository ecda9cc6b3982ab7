"""The operator's console in real browsers, with two server processes behind it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from importlib import resources
from typing import Literal

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Servers
from tests.kit.bursts import raising
from tests.kit.consoles import Tenant
from tests.kit.replicasets import ReplicaSet
from tests.kit.servers import TocsinServer
from tests.kit.tokens import SECRET, token

pytestmark = pytest.mark.e2e

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
MOST_ROWS = 60
"""How many rows are elements, of however many alarms."""
FRAMES = """(() => {
  let gaps = [], last = performance.now();
  const tick = (now) => { gaps.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  window.frames = () => {
    const sorted = gaps.sort((a, b) => a - b);
    gaps = [];
    const at = (part) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]);
    return { count: sorted.length, median: at(0.5), p95: at(0.95), most: at(1) };
  };
})()"""
SCROLLING = """new Promise((resolve) => {
  const grid = document.getElementById("grid");
  let left = 90;
  const step = () => {
    grid.scrollTop += 900;
    if (left-- > 0) requestAnimationFrame(step);
    else resolve();
  };
  step();
})"""
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=1</script>"\' javascript:alert(1)'


@pytest.fixture(scope="module")
def pair(_replica_set: ReplicaSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Give two server processes that all of these tests share: each has a tenant of its own there."""
    folder, database = tmp_path_factory.mktemp("console"), f"console_{uuid.uuid4().hex}"
    env = {"TOCSIN_AUTH_SECRET": SECRET}
    with (
        TocsinServer(folder, _replica_set.uri, database, env=env) as first,
        TocsinServer(folder, _replica_set.uri, database, env=env) as second,
    ):
        yield first, second


@pytest.fixture
def server(pair: Servers) -> TocsinServer:
    """Give one of the two."""
    return pair[1]


@pytest_asyncio.fixture
async def tenant(browser: Browser) -> AsyncIterator[Tenant]:
    """Give a tenant; at the end none of its pages has seen an error."""
    given = Tenant(browser)
    yield given
    for console in given.consoles:
        assert console.errors == []


async def test_what_one_operator_does_on_one_process_another_sees_on_the_other(
    tenant: Tenant, pair: Servers
) -> None:
    here = await tenant.opened(pair[0])
    there = await tenant.opened(pair[1], subject="bob")
    await tenant.raised(pair[0], 1, text=HOSTILE, qualifier=HOSTILE, labels={"<b>": HOSTILE})
    for console in (here, there):
        await console.state("pump-1", "Unacked")
        # What came from outside stands there letter by letter, and is nothing but text.
        await expect(console.row("pump-1").locator(".c-text")).to_have_text(HOSTILE)
    await here.row("pump-1").get_by_role("button").click()
    await there.state("pump-1", "Acked")
    await expect(there.row("pump-1").locator(".c-acked_by")).to_have_text("ann")
    await expect(there.page.locator("#counts")).to_contain_text("0 unacknowledged")
    await there.row("pump-1").locator(".c-source").click()
    details = there.page.locator("#details")
    await expect(details.locator(".details-text")).to_have_text(HOSTILE)
    await expect(details.locator(".timeline b")).to_have_text(["Acknowledged", "Raised"])
    assert await there.page.locator("#details img, #details script, #grid img, #grid script").count() == 0
    assert await there.page.title() == "Tocsin"


async def test_a_lost_process_is_unmistakable_and_nothing_is_missed(tenant: Tenant, pair: Servers) -> None:
    doomed, other = pair
    here = await tenant.opened(doomed)
    await tenant.raised(other, 1)
    await here.state("pump-1", "Unacked")
    await asyncio.to_thread(doomed.kill)
    await expect(here.page.locator("#lost")).to_contain_text("Connection lost")
    await expect(here.page.locator("#grid")).to_have_class("grid stale")
    await here.row("pump-1").get_by_role("button").click()
    await tenant.raised(other, 2)
    await asyncio.to_thread(doomed.start)
    await expect(here.page.locator("#lost")).to_be_hidden(timeout=20_000)
    await expect(here.page.locator("#grid")).to_have_class("grid")
    await here.state("pump-2", "Unacked")
    # The command was sent again, under the same key, until somebody answered.
    await here.state("pump-1", "Acked", seconds=20)


async def test_an_operator_works_by_keys_alone(tenant: Tenant, server: TocsinServer) -> None:
    for number in (1, 2, 3):
        await tenant.raised(server, number)
    console = await tenant.opened(server)
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


async def test_a_refusal_is_told_beside_the_row_and_a_pause_hides_no_critical(
    tenant: Tenant, server: TocsinServer
) -> None:
    alarm = await tenant.raised(server, 1)
    console = await tenant.opened(server, "?severity=major")
    await console.state("pump-1", "Unacked")
    await console.page.keyboard.press("p")
    async with tenant.client(server) as http:
        await http.post(f"/v1/alarms/{alarm['id']}/acknowledge", json={"revision": alarm["revision"]})
    await expect(console.page.locator("#pause")).to_have_text("Paused · 1 wait")
    await tenant.raised(server, 2, severity="critical", text="burst")
    await expect(console.page.locator("#critical")).to_have_text("Critical: pump-2 hot. burst")
    await expect(console.page.locator("#hidden-criticals")).to_contain_text("1 unacknowledged critical alarm")
    await console.row("pump-1").get_by_role("button").click()
    await expect(console.page.locator("#row-notice")).to_contain_text("acknowledged")
    await console.page.get_by_role("button", name="Show them").click()
    await console.state("pump-2", "Unacked")


async def test_the_list_is_shown_as_of_any_event(tenant: Tenant, server: TocsinServer) -> None:
    for number in (1, 2):
        await tenant.raised(server, number)
    async with tenant.client(server) as http:
        answer = await http.post("/v1/clear", json={"source": "pump-1", "type": "hot"})
    cleared = answer.json()["position"]
    console = await tenant.opened(server, f"?as_of={cleared}")
    page = console.page
    await console.state("pump-1", "Returned, unacked")
    await page.get_by_role("button", name="◀ Event").click()
    await console.state("pump-1", "Unacked")
    await expect(console.row("pump-1").get_by_role("button")).to_be_hidden()
    await page.get_by_role("button", name="◀ Event").click()
    await expect(console.row("pump-2")).to_have_count(0)
    await expect(page).to_have_url(f"{server.url}/?as_of={cleared - 2}")
    await page.get_by_role("slider").fill("0")
    await expect(page.locator("#travel-bar")).to_contain_text("Nothing had been recorded by then")
    await page.get_by_role("button", name="Back to live").click()
    await console.state("pump-2", "Unacked")


async def test_back_leads_to_what_was_looked_at_before(tenant: Tenant, server: TocsinServer) -> None:
    for number in (1, 2):
        await tenant.raised(server, number)
    await tenant.raised(server, 3, severity="critical")
    console = await tenant.opened(server)
    page = console.page
    await console.state("pump-3", "Unacked")
    await page.get_by_role("button", name="Major").click()
    await expect(console.row("pump-3")).to_have_count(0)
    # Typed letter by letter, but one step.
    await page.get_by_placeholder("boiler/*").press_sequentially("pump-2")
    await expect(console.row("pump-1")).to_have_count(0)
    await console.row("pump-2").locator(".c-source").click()
    await expect(page.locator("#details .timeline li")).to_have_count(1)
    await page.get_by_role("link", name="KPIs").click()
    await expect(page.get_by_role("heading", name="Alarm system performance")).to_be_visible()
    await page.go_back()
    await expect(page.locator("#details")).to_be_visible()
    await page.go_back()
    await expect(page.locator("#details")).to_be_hidden()
    await expect(page).to_have_url(f"{server.url}/?severity=major&source=pump-2")
    await page.go_back()
    await expect(page.get_by_placeholder("boiler/*")).to_have_value("")
    await console.state("pump-1", "Unacked")
    await page.go_back()
    await console.state("pump-3", "Unacked")
    await expect(page.get_by_role("button", name="Major")).to_have_attribute("aria-pressed", "false")
    await page.go_forward()
    await expect(console.row("pump-3")).to_have_count(0)
    await page.get_by_role("button", name="Time travel").click()
    await expect(page.locator("#travel-bar")).to_contain_text("raised by")
    await page.go_back()
    await expect(page.locator("#travel-bar")).to_be_hidden()
    await expect(page.get_by_role("button", name="Major")).to_have_attribute("aria-pressed", "true")


async def test_normal_alarms_are_shown_where_they_are_wanted(tenant: Tenant, server: TocsinServer) -> None:
    ids = [(await tenant.raised(server, number))["id"] for number in (1, 2)]
    async with tenant.client(server) as http:

        async def ended(number: int) -> None:
            for command in ({"command": "clear"}, {"command": "acknowledge", "revision": 1}):
                answer = await http.post("/v1/commands", json=[{**command, "alarm_id": ids[number - 1]}])
                assert answer.json()[0]["status"] == 200, answer.text

        await ended(1)
        console = await tenant.opened(server)
        await console.state("pump-2", "Unacked")
        await expect(console.row("pump-1")).to_have_count(0)
        normal = console.page.get_by_role("button", name="Normal", exact=False)
        await expect(normal).to_contain_text("1")
        await normal.click()
        await console.state("pump-1", "Normal")
        await expect(console.row("pump-2")).to_have_count(0)
        # The next one comes by its event, and goes by one.
        await ended(2)
        await console.state("pump-2", "Normal")
        await tenant.raised(server, 1)
        await expect(console.row("pump-1")).to_have_count(0)
        await console.page.reload()
        await console.state("pump-2", "Normal")
        await console.page.get_by_role("button", name="Time travel").click()
        await expect(console.page.locator("#travel-bar")).to_contain_text("raised by")
        await console.state("pump-2", "Normal")


async def test_a_server_with_a_secret_asks_for_a_token(browser: Browser, server: TocsinServer) -> None:
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


async def test_axe_finds_nothing_serious_in_either_theme(tenant: Tenant, server: TocsinServer) -> None:
    await tenant.raised(server, 1, severity="critical", labels={"area": "north"})
    await tenant.raised(server, 2)
    console = await tenant.opened(server)
    page = console.page
    await console.state("pump-1", "Unacked")
    found = {"list": await serious(page)}
    await console.press("j", "x", "Enter")
    await expect(page.locator("#details .timeline li")).to_have_count(1)
    found["details"] = await serious(page)
    found["details, dark"] = await serious(page, "dark")
    await console.press("s")
    found["shelve"] = await serious(page)
    await console.press("Escape", "t")
    await expect(page.locator("#travel-bar")).to_contain_text("raised by")
    found["travel"] = await serious(page)
    await page.get_by_role("button", name="Back to live").click()
    await console.press("?")
    found["keys"] = await serious(page)
    await console.press("Escape")
    await page.get_by_role("link", name="KPIs").click()
    await expect(page.get_by_role("heading", name="Alarm system performance")).to_be_visible()
    await expect(page.locator("#kpis-page canvas")).to_be_visible()
    await expect(page.locator("#kpis-page .tile")).not_to_have_count(0)
    found["kpis"] = await serious(page)
    found["kpis, dark"] = await serious(page, "dark")
    assert {name: each for name, each in found.items() if each} == {}


async def serious(page: Page, theme: Literal["light", "dark"] = "light") -> list[str]:
    """Return what axe-core finds that would keep somebody out; of the dark theme, its contrasts."""
    await page.emulate_media(color_scheme=theme)
    await page.evaluate(AXE)
    only = {"runOnly": ["color-contrast"]} if theme == "dark" else {}
    answer = await page.evaluate("(only) => axe.run({...only, resultTypes: ['violations']})", only)
    return [
        f"{each['id']}: {each['help']}: {each['nodes'][0]['html']}"
        for each in answer["violations"]
        if each["impact"] in ("serious", "critical")
    ]


async def test_ten_thousand_rows_and_a_flood_leave_the_page_at_work(
    tenant: Tenant, server: TocsinServer
) -> None:
    async with tenant.client(server) as http:
        await asyncio.gather(
            *(reported(http, range(start, start + 1_000), "warning") for start in range(0, 10_000, 1_000))
        )
        console = await tenant.opened(server, "?sort=-updated_at")
        page = console.page
        await expect(page.locator("#counts")).to_contain_text("10,000 alarms", timeout=30_000)
        await page.evaluate(FRAMES)
        await page.evaluate(SCROLLING)
        scrolled = await page.evaluate("frames()")
        # 200 events a second, which move rows to the top and change their texts.
        for start in range(0, 400, 20):
            _, __ = await asyncio.gather(
                reported(http, range(start, start + 20), "critical"), asyncio.sleep(0.1)
            )
        await expect(page.locator("#counts")).to_contain_text("400 of them critical")
        flooded = await page.evaluate("frames()")
        await console.press("g")
        await console.state("pump-399", "Unacked")
        assert await page.locator("#grid-body .row").count() < MOST_ROWS
        print(f"frames in ms: scrolling {scrolled}, 200 events a second {flooded}")  # noqa: T201


async def reported(http: httpx.AsyncClient, numbers: Iterable[int], severity: str) -> None:
    """Report an alarm of each number, all in one request."""
    commands = [{"command": "raise", **raising(number), "severity": severity} for number in numbers]
    answer = await http.post("/v1/commands", json=commands)
    assert answer.is_success, answer.text
