"""Connections between processes: proofs, answers, and peers that lie, hang, vanish or do not read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from adapters.peers import client, framing, server
from adapters.peers.network import PeerNetwork
from adapters.peers.proof import GREETING, NONCE_BYTES
from core.alarm.events import Event
from core.coordination.ports import Holder
from core.errors import (
    DuplicateCommand,
    InvalidInput,
    OutcomeUnknown,
    RevisionConflict,
    StartupRefused,
    TocsinError,
    Unavailable,
)
from core.log.appender import Submission
from core.log.forwarding import Answer, Forward, answer_to
from tests.kit.appending import first_raise
from tests.kit.waiting import eventually

KEY = b"k" * 32
NAME = "host:1:aa"
SECONDS = 20.0

Accept = Callable[[Forward, Callable[[Answer], None]], None]


def never(_forward: Forward, _reply: Callable[[Answer], None]) -> None:
    """Take an event and answer nothing."""


@asynccontextmanager
async def listening(accept: Accept = never, key: bytes = KEY) -> AsyncIterator[PeerNetwork]:
    async with PeerNetwork.joined(key, NAME, accept, host="127.0.0.1", port=0) as network:
        yield network


def told_of(submitted: Callable[[Submission], None]) -> tuple[Submission, list[Event | TocsinError]]:
    told: list[Event | TocsinError] = []
    submission = Submission(*first_raise(), told.append)
    submitted(submission)
    return submission, told


async def test_an_event_that_is_forwarded_is_answered_with_where_it_landed() -> None:
    at = datetime(2036, 1, 1, tzinfo=UTC)

    def accept(forward: Forward, reply: Callable[[Answer], None]) -> None:
        reply(answer_to(forward.number, msgspec.structs.replace(forward.event, position=7, at=at)))

    async with listening(accept) as network:
        peer = await network.connect(Holder(NAME, network.address))
        submission, told = told_of(peer.forwarder.submit)
        await eventually("the answer", lambda: told)
        (event,) = told
        assert isinstance(event, Event)
        assert (event.event_id, event.position, event.at) == (submission.event.event_id, 7, at)
        assert (event.alarm.position, event.alarm.raised_at) == (7, at)
        peer.abort()


@pytest.mark.parametrize(
    "error",
    [
        RevisionConflict("revision 1"),
        Unavailable("away"),
        OutcomeUnknown("perhaps"),
        InvalidInput("too deep"),
        DuplicateCommand(first_raise()[1]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_every_error_arrives_as_what_it_is(error: TocsinError) -> None:
    async with listening(lambda forward, reply: reply(answer_to(forward.number, error))) as network:
        peer = await network.connect(Holder(NAME, network.address))
        _, told = told_of(peer.forwarder.submit)
        await eventually("the answer", lambda: told)
        assert type(told[0]) is type(error)
        assert str(told[0]) == str(error)
        peer.abort()


@pytest.mark.parametrize(("key", "name"), [(b"x" * 32, NAME), (KEY, "host:1:bb")])
async def test_who_does_not_know_the_key_or_is_another_is_not_forwarded_to(key: bytes, name: str) -> None:
    async with listening(key=key) as network, listening() as own:
        with pytest.raises(Unavailable, match="another process"):
            await own.connect(Holder(name, network.address))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:70000", ":"])
async def test_where_nobody_listens_there_is_nobody_to_forward_to(address: str) -> None:
    async with listening() as own:
        with pytest.raises(Unavailable):
            await own.connect(Holder(NAME, address))


async def test_who_proves_nothing_hands_in_nothing() -> None:
    taken: list[Forward] = []
    async with listening(lambda forward, _: taken.append(forward)) as network:
        for frames in (
            [b"GET / HTTP/1.1"],
            [GREETING + b"n" * NONCE_BYTES, b"p" * 32, msgspec.msgpack.encode(forward_of(1))],
            [GREETING + b"n" * NONCE_BYTES, msgspec.msgpack.encode(forward_of(1))],
        ):
            assert await ended(network, b"".join(framed(frame) for frame in frames))
    assert taken == []


async def test_who_greets_and_proves_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PROOF_SECONDS", 0.05)
    async with listening() as network:
        assert await ended(network, b"")
        assert await ended(network, framed(GREETING + b"n" * NONCE_BYTES))


async def test_a_frame_beyond_the_bound_ends_the_connection() -> None:
    async with listening() as network:
        assert await ended(network, (framing.FRAME_BYTES + 1).to_bytes(4))


async def test_no_more_peers_are_connected_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 1)
    async with listening() as network:
        peer = await network.connect(Holder(NAME, network.address))
        assert await ended(network, b"")
        peer.abort()


async def test_of_a_connection_that_is_cut_everything_comes_back_in_doubt() -> None:
    async with listening() as network:
        peer = await network.connect(Holder(NAME, network.address))
        sent = [told_of(peer.forwarder.submit)[0] for _ in range(3)]
        network.disconnect()
        await peer.closed()
        left = peer.forwarder.lost()
        assert left == sent
        assert all(each.in_doubt and not each.under_way for each in left)


async def test_an_appender_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEARTBEAT_SECONDS", 3600.0)
    monkeypatch.setattr(client, "SILENCE_SECONDS", 0.1)
    async with listening() as network:
        peer = await network.connect(Holder(NAME, network.address))
        async with asyncio.timeout(SECONDS):
            await peer.closed()


async def test_an_appender_that_has_nothing_to_say_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEARTBEAT_SECONDS", 0.01)
    heard: list[float] = []
    async with listening() as network:
        peer = await network.connect(Holder(NAME, network.address))
        before = peer._heard
        await eventually("three heartbeats", lambda: _noted(heard, peer._heard) and len(heard) > 3)
        assert heard[-1] > before
        peer.abort()


async def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    def accept(forward: Forward, reply: Callable[[Answer], None]) -> None:
        reply(answer_to(forward.number + 1, Unavailable("a lie")))

    async with listening(accept) as network:
        peer = await network.connect(Holder(NAME, network.address))
        submission, told = told_of(peer.forwarder.submit)
        await peer.closed()
        assert (peer.forwarder.lost(), told) == ([submission], [])


async def test_a_peer_that_reads_no_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "UNSENT_BYTES", 100_000)
    replies: list[Callable[[Answer], None]] = []
    async with listening(lambda _, reply: replies.append(reply)) as network:
        peer = await network.connect(Holder(NAME, network.address))
        assert peer._transport is not None
        told_of(peer.forwarder.submit)
        await eventually("the event", lambda: replies)
        peer._transport.pause_reading()
        huge = answer_to(1, Unavailable("x" * 500_000))
        async with asyncio.timeout(SECONDS):
            while (connection := replies[0].__self__)._transport is not None:  # type: ignore[attr-defined]
                connection._answer(huge)
                await asyncio.sleep(0)
        peer.abort()


async def test_an_address_that_is_taken_is_refused_in_one_line() -> None:
    async with listening() as network:
        port = int(network.address.rpartition(":")[2])
        with pytest.raises(StartupRefused, match="cannot listen for peers"):
            async with PeerNetwork.joined(KEY, NAME, never, host="127.0.0.1", port=port):
                pass


def forward_of(number: int) -> Forward:
    before, event = first_raise()
    return Forward(number, 0.0, before, event)


def framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(4) + frame


async def ended(network: PeerNetwork, data: bytes) -> bool:
    """Send the data; tell whether the other side then ends the connection."""
    host, _, port = network.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        async with asyncio.timeout(SECONDS):
            while await reader.read(1024):
                pass
    except ConnectionError:
        pass
    finally:
        writer.close()
    return True


def _noted(heard: list[float], moment: float) -> bool:
    if not heard or heard[-1] != moment:
        heard.append(moment)
    return True


async def test_a_connection_that_takes_no_heartbeat_costs_no_other_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "HEARTBEAT_SECONDS", 0.01)
    async with listening() as network:
        first = await network.connect(Holder(NAME, network.address))
        (broken,) = network._server._connections

        def fail() -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(broken, "beat", fail)
        second = await network.connect(Holder(NAME, network.address))
        async with asyncio.timeout(SECONDS):
            await first.closed()
        before = second._heard
        await eventually("a heartbeat", lambda: second._heard > before)
        second.abort()
