"""Tokens of an issuer that serves its keys over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.tokens.claims import Meant
from adapters.tokens.key_set import KEY_SET_BYTES
from adapters.tokens.key_sources import KeyAddress
from adapters.tokens.keys import AGAIN_SECONDS, KEPT_SECONDS, KeySetTokens
from core.errors import Unauthenticated, UnusableKeySet
from tests.integration.adapters.tokens.test_keys import Clock, made, public

OLD = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NEW = rsa.generate_private_key(public_exponent=65537, key_size=2048)
MEANT = Meant(issuer="https://issuer", audience="tocsin")
CLAIMS = {"iss": MEANT.issuer, "aud": MEANT.audience}


class Issuer:
    """Serves keys on loopback, and counts how often."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [public(OLD, "old")]
        self.status = "200 OK"
        self.padding = ""
        self.silent = False
        self.fetched = 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.fetched += 1
        if not self.silent:
            body = json.dumps({"keys": self.keys, "padding": self.padding})
            head = f"HTTP/1.1 {self.status}\r\nLocation: {self.url}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write((head + body).encode())
        else:
            await reader.read()
        writer.close()


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    served = Issuer()
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield served


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(issuer: Issuer, clock: Clock) -> KeySetTokens:
    return KeySetTokens(KeyAddress(issuer.url), meant=MEANT, clock=clock)


async def subject(tokens: KeySetTokens, token: str) -> str:
    await tokens.prepare(token)
    return tokens.verify(token, datetime.now(UTC)).subject


async def refusal(tokens: KeySetTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await subject(tokens, token)
    return caught.value.detail


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"iss": MEANT.issuer}, "aud"),
        ({"iss": MEANT.issuer, "aud": "another"}, "aud"),
        ({"iss": MEANT.issuer, "aud": ["another", "tocsin2"]}, "aud"),
        ({"aud": MEANT.audience}, "iss"),
        ({"iss": "https://issuer/", "aud": MEANT.audience}, "iss"),
    ],
)
async def test_a_token_for_another_application_does_not_get_in(
    tokens: KeySetTokens, claims: dict[str, Any], named: str
) -> None:
    assert named in await refusal(tokens, made(OLD, "old", **claims))
    assert await subject(tokens, made(OLD, "old", **CLAIMS)) == "ann"
    several = CLAIMS | {"aud": ["another", MEANT.audience]}
    assert await subject(tokens, made(OLD, "old", **several)) == "ann"


async def test_an_unknown_key_is_fetched_and_the_old_one_ends(
    tokens: KeySetTokens, issuer: Issuer, clock: Clock
) -> None:
    await subject(tokens, made(OLD, "old", **CLAIMS))
    issuer.keys = [public(NEW, "new")]
    clock.now += AGAIN_SECONDS
    assert await subject(tokens, made(NEW, "new", **CLAIMS)) == "ann"
    assert "kid" in await refusal(tokens, made(OLD, "old", **CLAIMS))


async def test_unknown_keys_have_the_issuer_asked_only_so_often(
    tokens: KeySetTokens, issuer: Issuer, clock: Clock
) -> None:
    made_up = [made(NEW, str(number), **CLAIMS) for number in range(5)]
    await asyncio.gather(*(refusal(tokens, token) for token in made_up))
    assert issuer.fetched == 1
    clock.now += AGAIN_SECONDS
    await asyncio.gather(*(refusal(tokens, token) for token in made_up))
    assert issuer.fetched == 2


async def test_a_key_that_left_the_set_ends_without_a_new_one(
    tokens: KeySetTokens, issuer: Issuer, clock: Clock
) -> None:
    await subject(tokens, made(OLD, "old", **CLAIMS))
    issuer.keys = [public(NEW, "new")]
    assert await subject(tokens, made(OLD, "old", **CLAIMS)) == "ann"
    clock.now += KeyAddress.fresh_seconds
    assert "kid" in await refusal(tokens, made(OLD, "old", **CLAIMS))


async def test_an_issuer_that_is_away_keeps_its_keys_for_a_time(
    tokens: KeySetTokens, issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await subject(tokens, made(OLD, "old", **CLAIMS))
    issuer.status = "500 Internal Server Error"
    clock.now += KeyAddress.fresh_seconds
    assert await subject(tokens, made(OLD, "old", **CLAIMS)) == "ann"
    assert "the issuer answers 500" in caplog.text
    clock.now += KEPT_SECONDS + 1
    assert "too long" in await refusal(tokens, made(OLD, "old", **CLAIMS))
    issuer.status = "200 OK"
    clock.now += AGAIN_SECONDS
    await tokens.prepare(made(NEW, "new", **CLAIMS))
    assert await subject(tokens, made(OLD, "old", **CLAIMS)) == "ann"


async def test_a_fetch_is_bounded_in_size_and_time_and_follows_nothing(issuer: Issuer) -> None:
    issuer.padding = "x" * KEY_SET_BYTES
    with pytest.raises(UnusableKeySet, match="bytes"):
        await KeyAddress(issuer.url).read()
    issuer.padding, issuer.status = "", "302 Found"
    with pytest.raises(UnusableKeySet, match="302"):
        await KeyAddress(issuer.url).read()
    issuer.silent = True
    with pytest.raises(UnusableKeySet, match="no answer"):
        await KeyAddress(issuer.url, 0.05).read()
    with pytest.raises(UnusableKeySet, match="ConnectError"):
        await KeyAddress("http://127.0.0.1:1/keys").read()
