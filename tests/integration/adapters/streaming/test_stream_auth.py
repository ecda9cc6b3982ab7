"""Who may follow a stream: by the handshake's header or the first message, and for how long."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from adapters.memory.api_keys import MemoryApiKeys
from adapters.memory.revocations import MemoryRevocations
from adapters.tokens.secret import SecretTokens
from core.access.callers import ANYONE
from core.access.ports import ApiKey
from core.application import authentication
from core.application.authentication import Authentication
from core.errors import Unauthenticated, Unavailable
from core.roles import Role
from tests.kit.hosts import HOST
from tests.kit.streams import Streams, streaming
from tests.kit.tokens import SECRET, bearing, token

PATIENCE = 0.3
HELLO = {"op": "hello", "log": "log-1", "position": 0}


class Keys(MemoryApiKeys):
    """Counts how often a key is looked up; `away`: it cannot be."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups = 0
        self.away = False

    async def find(self, key_id: str) -> ApiKey | None:
        self.lookups += 1
        if self.away:
            raise Unavailable("MongoDB is away")
        return await super().find(key_id)


class Gate:
    """Authentication of one process, and what stands behind it."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.bell = asyncio.Event()
        log = MemoryRevocations(self._ring)
        self.authentication = Authentication(SecretTokens(SECRET), self.keys, log, HOST)

    def _ring(self) -> None:
        self.bell.set()
        self.bell = asyncio.Event()

    async def key(self, *roles: Role, expires_at: datetime | None = None) -> tuple[str, str]:
        """Make a key; return its id and text."""
        made = await self.authentication.create_key(ANYONE, "gateway", frozenset(roles), expires_at)
        return made.key.id, made.text


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def streams(gate: Gate) -> AsyncIterator[Streams]:
    async with streaming(authentication=gate.authentication, auth_seconds=PATIENCE) as running:
        revoking = asyncio.create_task(gate.authentication.run(lambda: gate.bell, running.driver.revoke))
        yield running
        revoking.cancel()


async def test_a_token_in_the_header_opens_the_session(streams: Streams) -> None:
    async with streams.client(additional_headers=bearing(token())) as client:
        assert await client.hear() == HELLO


@pytest.mark.parametrize("subprotocol", ["tocsin.v1.json", "tocsin.v1.msgpack"])
@pytest.mark.parametrize("role", ["operator", "viewer", "admin"])
async def test_a_token_in_the_first_message_opens_the_session(
    streams: Streams, subprotocol: str, role: str
) -> None:
    async with streams.client(subprotocol=subprotocol) as client:
        await client.say(op="auth", token=token(roles=(role,)))
        assert await client.subscribed() == 0
        streams.raise_many(1)
        assert [event["position"] for event in await client.events(until=1)] == [1]


async def test_a_session_sees_its_tokens_tenant(streams: Streams) -> None:
    async with streams.client(additional_headers=bearing(token(tenant="other"))) as client:
        await client.subscribed()
        streams.publish(streams.plant.reported("pump/1"), streams.plant.reported("pump/1", tenant="other"))
        (event,) = await client.events(until=2)
        assert event["alarm"]["tenant"] == "other"
    async with streams.client(additional_headers=bearing(token(tenant="other"))) as client:
        await client.hear()
        await client.say(op="subscribe", id="a", snapshot=True)
        assert (await client.hear())["op"] == "subscribed"
        assert [row["tenant"] for row in await client.snapshot(2)] == ["other"]


@pytest.mark.parametrize("credential", ["nonsense", token(seconds=-1), f"tck_{'0' * 32}_{'x' * 43}", ""])
@pytest.mark.parametrize("place", ["header", "message"])
async def test_a_bad_token_is_closed_without_a_word(streams: Streams, credential: str, place: str) -> None:
    headers = bearing(credential) if place == "header" else None
    async with streams.client(additional_headers=headers) as client:
        if place == "message":
            await client.say(op="auth", token=credential)
        assert (await client.closed())[0] == 4401
        assert client.heard == 0


async def test_who_says_nothing_is_closed_in_time(streams: Streams) -> None:
    began = time.monotonic()
    async with streams.client() as client:
        assert await client.closed() == (4401, "not authenticated in time")
    assert time.monotonic() - began >= PATIENCE


@pytest.mark.parametrize(
    "said", ['{"op":"subscribe","id":"a"}', '{"op":"unsubscribe","id":"a"}', "{nonsense"]
)
async def test_who_begins_with_something_else_is_closed(streams: Streams, said: str) -> None:
    async with streams.client() as client:
        await client.connection.send(said)
        assert (await client.closed())[0] == 4401
        assert client.heard == 0


async def test_a_source_may_not_follow(streams: Streams, gate: Gate) -> None:
    _, key = await gate.key("source")
    for credential in (token(roles=("source",)), key, token(roles=())):
        async with streams.client(additional_headers=bearing(credential)) as client:
            assert (await client.closed())[0] == 4403


async def test_a_session_ends_with_its_token_unless_there_is_a_newer_one(streams: Streams) -> None:
    ends = time.time() + 1
    async with (
        streams.client(additional_headers=bearing(token(seconds=1))) as left,
        streams.client(additional_headers=bearing(token(seconds=1))) as renewed,
    ):
        await renewed.hear()
        await renewed.say(op="auth", token=token())
        assert await renewed.hear() == HELLO
        assert await left.closed() == (4401, "expired")
        assert 0 <= time.time() - ends + 0.05 < 1
        await renewed.say(op="subscribe", id="a")
        assert (await renewed.hear())["op"] == "subscribed"


@pytest.mark.parametrize(
    ("newer", "code"),
    [
        (token("bob"), 4403),
        (token("ann", "other"), 4403),
        (token("ann", roles=("source",)), 4403),
        ("nonsense", 4401),
        (token(seconds=-1), 4401),
    ],
)
async def test_a_session_goes_on_only_for_the_same_subject_and_tenant(
    streams: Streams, newer: str, code: int
) -> None:
    async with streams.client(additional_headers=bearing(token("ann"))) as client:
        await client.hear()
        await client.say(op="auth", token=newer)
        assert (await client.closed())[0] == code


async def test_a_key_opens_sessions_until_it_is_revoked_or_over(streams: Streams, gate: Gate) -> None:
    key_id, key = await gate.key("viewer")
    _, short = await gate.key("viewer", expires_at=datetime.fromtimestamp(time.time() + 0.5, UTC))
    async with streams.client() as client, streams.client() as brief:
        await client.say(op="auth", token=key)
        await client.subscribed()
        await brief.say(op="auth", token=short)
        assert await brief.closed() == (4401, "expired")
        await gate.authentication.revoke_key(ANYONE, key_id)
        assert await client.closed() == (4401, "the API key was revoked")
    async with streams.client(additional_headers=bearing(key)) as client:
        assert (await client.closed())[0] == 4401


async def test_a_key_that_is_used_again_is_not_looked_up_again(gate: Gate) -> None:
    _, key = await gate.key("source")
    for _ in range(3):
        await gate.authentication.caller(key)
    assert gate.keys.lookups == 1
    gate.keys.away = True
    await gate.authentication.caller(key)


async def test_an_unknown_key_is_looked_up_once_a_second(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = f"tck_{'0' * 32}_{'x' * 43}"
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await gate.authentication.caller(made_up)
    assert gate.keys.lookups == 1
    monkeypatch.setattr(authentication, "UNKNOWN_KEY_SECONDS", 0.0)
    with pytest.raises(Unauthenticated):
        await gate.authentication.caller(made_up)
    assert gate.keys.lookups == 2


async def test_of_unknown_keys_only_so_many_are_remembered(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "CACHED_KEYS", 2)
    for number in (0, 1, 2, 0):
        with pytest.raises(Unauthenticated):
            await gate.authentication.caller(f"tck_{number:032x}_{'x' * 43}")
    assert gate.keys.lookups == 4


async def test_a_key_that_is_being_revoked_is_refused_though_it_is_still_there(
    streams: Streams, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id, key = await gate.key("viewer")

    async def never(*_: str) -> None:
        raise Unavailable("MongoDB went away in between")

    monkeypatch.setattr(gate.keys, "remove", never)
    async with streams.client(additional_headers=bearing(key)) as client:
        await client.subscribed()
        with pytest.raises(Unavailable):
            await gate.authentication.revoke_key(ANYONE, key_id)
        assert (await client.closed())[0] == 4401
    async with streams.client(additional_headers=bearing(key)) as client:
        assert (await client.closed())[0] == 4401


@pytest.mark.parametrize("place", ["header", "message"])
async def test_while_keys_cannot_be_looked_up_clients_are_told_to_come_back(
    streams: Streams, gate: Gate, place: str
) -> None:
    _, key = await gate.key("viewer")
    gate.keys.away = True
    async with streams.client(additional_headers=bearing(key) if place == "header" else None) as client:
        if place == "message":
            await client.say(op="auth", token=key)
        assert (await client.closed())[0] == 1012


async def test_a_disconnected_subject_may_come_back_unless_its_tokens_are_revoked(
    streams: Streams, gate: Gate
) -> None:
    mine = token("ann")
    for revoke in (False, True):
        async with (
            streams.client(additional_headers=bearing(mine)) as client,
            streams.client(additional_headers=bearing(token("bob"))) as other,
        ):
            await client.subscribed()
            assert await other.subscribed() == 0
            shown = streams.driver.sessions_of("default")
            assert sorted((info.subject, info.subscriptions) for info in shown) == [("ann", 1), ("bob", 1)]
            assert list(streams.driver.sessions_of("other")) == []
            await gate.authentication.disconnect(ANYONE, "ann", "shift is over", revoke=revoke)
            assert await client.closed() == (4403, "shift is over")
            assert [info.subject for info in streams.driver.sessions_of("default")] == ["bob"]
    async with streams.client(additional_headers=bearing(mine)) as client:
        assert await client.closed() == (4401, "the subject's tokens were revoked")
