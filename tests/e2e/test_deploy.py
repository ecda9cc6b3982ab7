"""What is offered for deploying: nginx as its example has it, and the shape of the other files."""

import os
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import entrypoints
from tests.e2e.conftest import Servers
from tests.e2e.test_audit import ABSENT, FORGED, lines
from tests.kit.clients import streaming
from tests.kit.eventsource import event_source
from tests.kit.ports import free_port
from tests.kit.processes import Process

pytestmark = pytest.mark.e2e

DEPLOY = Path(entrypoints.__file__).parent / "deploy"
RAISE = {"source": "pump", "type": "leak", "severity": "major"}


@pytest.fixture
def proxied(servers: Servers, tmp_path: Path) -> Iterator[str]:
    """Give host:port of nginx in front of two servers."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        if "CI" in os.environ:
            pytest.fail("nginx is missing")
        pytest.skip("nginx is not here: Debian has it in nginx-light")
    port, text = free_port(), (DEPLOY / "nginx.conf").read_text()
    for index, server in enumerate(servers, start=1):
        text = text.replace(f"tocsin{index}:8080", f"127.0.0.1:{server.port}")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};").replace(
        "worker_connections 20000", "worker_connections 100"
    )
    config = tmp_path / "nginx.conf"
    config.write_text(f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr;\n{text}")
    with Process("nginx", [nginx, "-e", "stderr", "-c", str(config)], tmp_path / "nginx.log") as process:
        process.wait_for_url(f"http://127.0.0.1:{port}/readyz")
        yield f"127.0.0.1:{port}"


async def test_nginx_passes_on_what_comes_and_goes_round_a_server_that_ends(
    proxied: str, servers: Servers
) -> None:

    async with httpx.AsyncClient(base_url=f"http://{proxied}", trust_env=False) as http:
        async with (
            streaming(f"ws://{proxied}/v1/stream") as client,
            event_source(f"http://{proxied}/v1/events") as source,
        ):
            await source.expect("subscribed")
            assert (await http.post("/v1/alarms", json=RAISE)).is_success
            await client.until(1)
            assert len(await source.events(until=1)) == 1
        servers[0].terminate()
        for _ in range(4):
            assert (await http.get("/v1/alarms")).is_success
        async with streaming(f"ws://{proxied}/v1/stream", after=0, log=client.log) as again:
            assert await again.until(1) == client.events


async def test_behind_nginx_the_clients_own_address_is_told_whatever_it_claims(
    proxied: str, servers: Servers
) -> None:
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(base_url=f"http://{proxied}", transport=transport, trust_env=False) as http:
        await http.delete(f"/v1/api-keys/{ABSENT}", headers=FORGED)
    told = [line for server in servers for line in await lines(server)]
    assert [each["remote"] for each in told] == ["127.0.0.2"]


def test_the_image_holds_what_the_package_does() -> None:
    root = DEPLOY.parent.parent
    packages = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    copied = [
        line.split()[1]
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY")
    ]
    assert set(packages["packages"]) <= set(copied)
    assert all((root / each).exists() for each in copied)
