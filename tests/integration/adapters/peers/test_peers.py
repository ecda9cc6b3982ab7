"""Connections between processes: proofs, answers, and peers that lie, hang, vanish or do not read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime

import msgspec
import pytest

from adapters.peers import client, framing, server
from adapters.peers.network import PeerNetwork
from adapters.peers.proof import GREETING, NONCE_BYTES
from core.alarm.events import Event
from core.alarm.evolution import place
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
from core.log.forwarding import Forward, Submit, answer_to
from core.log.submission import Submission
from tests.kit.appending import first_raise
from tests.kit.waiting import eventually

KEY = b"k" * 32
NAME = "host:1:aa"
SECONDS = 20.0


def never(_submission: Submission) -> None:
    """Take an event and answer nothing."""


@asynccontextmanager
async def listening(submit: Submit = never, key: bytes = KEY) -> AsyncIterator[PeerNetwork]:
    async with PeerNetwork.joined(key, NAME, submit, host="127.0.0.1", port=0) as network:
        network.admit()
        yield network


def told_of(submitted: Callable[[Submission], None]) -> tuple[Submission, list[Event | TocsinError]]:
    told: list[Event | TocsinError] = []
    submission = Submission(*first_raise(), told.append)
    submitted(submission)
    return submission, told


async def test_an_event_that_is_forwarded_is_answered_with_where_it_landed() -> None:
    at = datetime(2036, 1, 1, tzinfo=UTC)

    def submit(submission: Submission) -> None:
        submission.settle(place(submission.before, submission.event, 7, at))

    async with listening(submit) as network:
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
    async with listening(lambda submission: submission.settle(error)) as network:
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


async def test_who_proves_nothing_hands_in_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PROOF_SECONDS", 3600.0)
    taken: list[Submission] = []
    async with listening(taken.append) as network:
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


async def test_a_frame_beyond_the_bound_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PROOF_SECONDS", 3600.0)
    async with listening() as network:
        assert await ended(network, (framing.PROOF_FRAME_BYTES + 1).to_bytes(4))
        peer = await network.connect(Holder(NAME, network.address))
        assert peer._transport is not None
        peer._transport.write((framing.FRAME_BYTES + 1).to_bytes(4))
        async with asyncio.timeout(SECONDS):
            await peer.closed()


async def test_no_more_peers_are_connected_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 1)
    async with listening() as network:
        peer = await network.connect(Holder(NAME, network.address))
        other = await network.connect(Holder(NAME, network.address))
        async with asyncio.timeout(SECONDS):
            await other.closed()
        assert not peer._closed.done()
        peer.abort()


async def test_who_connects_again_and_again_and_proves_nothing_keeps_no_peer_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "UNPROVED", 2)
    monkeypatch.setattr(server, "PROOF_SECONDS", 3600.0)
    async with listening() as network, AsyncExitStack() as stack:
        host, _, port = network.address.rpartition(":")
        strangers = [await asyncio.open_connection(host, int(port)) for _ in range(5)]
        for _, writer in strangers:
            stack.callback(writer.close)
        async with asyncio.timeout(SECONDS):
            # They are ended in the order in which they came, and the newest stay.
            for reader, _ in strangers[:3]:
                with suppress(ConnectionError):
                    assert await reader.read(1) == b""
        peer = await network.connect(Holder(NAME, network.address))
        peer.abort()


async def test_who_does_not_append_for_all_is_not_forwarded_to() -> None:
    async with listening() as network:
        network.disconnect()
        with pytest.raises(Unavailable, match="closed the connection"):
            await network.connect(Holder(NAME, network.address))
        network.admit()
        (await network.connect(Holder(NAME, network.address))).abort()


async def test_a_process_whose_events_have_another_shape_is_not_forwarded_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as network:
        monkeypatch.setattr(client, "GREETING", GREETING[:-2] + b"x ")
        with pytest.raises(Unavailable, match="closed the connection"):
            await network.connect(Holder(NAME, network.address))


async def test_what_cannot_be_sent_is_told_and_not_under_way() -> None:
    async with listening() as network:
        peer = await network.connect(Holder(NAME, network.address))
        before, event = first_raise()
        huge = msgspec.structs.replace(event, data={"text": "x" * framing.FRAME_BYTES})
        odd = msgspec.structs.replace(event, data={"number": 2**64})
        for each in (huge, odd):
            with pytest.raises(InvalidInput):
                peer.forwarder.submit(Submission(before, each, lambda _: None))
        assert len(peer.forwarder) == 0
        peer.abort()


async def test_what_a_peer_took_back_is_given_up_here() -> None:
    taken: list[Submission] = []
    async with listening(taken.append) as network:
        peer = await network.connect(Holder(NAME, network.address))
        told_of(peer.forwarder.submit)
        await eventually("the event", lambda: taken)
        peer.abort()
        await eventually("it is given up", lambda: taken[0].answered)


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
    taken: list[Submission] = []
    async with listening(taken.append) as network:
        peer = await network.connect(Holder(NAME, network.address))
        submission, told = told_of(peer.forwarder.submit)
        await eventually("the event", lambda: taken)
        connection_of(network)._answer(answer_to(2, Unavailable("a lie")))
        await peer.closed()
        assert (peer.forwarder.lost(), told) == ([submission], [])


async def test_an_answer_too_large_to_send_is_told_as_unknown() -> None:
    error = Unavailable("x" * framing.FRAME_BYTES)
    async with listening(lambda submission: submission.settle(error)) as network:
        peer = await network.connect(Holder(NAME, network.address))
        _, told = told_of(peer.forwarder.submit)
        await eventually("the answer", lambda: told)
        assert isinstance(told[0], OutcomeUnknown)
        peer.abort()


async def test_a_peer_that_reads_no_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "UNSENT_BYTES", 100_000)
    async with listening() as network:
        peer = await network.connect(Holder(NAME, network.address))
        assert peer._transport is not None
        await eventually("the proof", lambda: network._server._peers)
        connection = connection_of(network)
        peer._transport.pause_reading()
        huge = answer_to(1, Unavailable("x" * 500_000))
        async with asyncio.timeout(SECONDS):
            while connection._transport is not None:
                connection._answer(huge)
                await asyncio.sleep(0)
        peer.abort()


async def test_an_address_that_is_taken_is_refused_in_one_line() -> None:
    async with listening() as network:
        port = int(network.address.rpartition(":")[2])
        with pytest.raises(StartupRefused, match="cannot listen for peers"):
            async with PeerNetwork.joined(KEY, NAME, never, host="127.0.0.1", port=port):
                pass


def connection_of(network: PeerNetwork) -> server._Connection:
    (connection,) = network._server._peers
    return connection


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
        await eventually("the proof", lambda: network._server._peers)
        (broken,) = network._server._peers

        def fail(_frame: bytes) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(broken, "send", fail)
        second = await network.connect(Holder(NAME, network.address))
        async with asyncio.timeout(SECONDS):
            await first.closed()
        before = second._heard
        await eventually("a heartbeat", lambda: second._heard > before)
        second.abort()
