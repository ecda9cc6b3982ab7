"""Calls to webhooks over real sockets: answers of every kind, and addresses that must not be called."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.webhook.formats.registry import FORMATS
from adapters.webhook.network import Resolver
from adapters.webhook.sender import BEGUN_AT_ONCE, CALL_SECONDS, HttpSender, retry_after_of
from core.errors import InvalidInput
from tests.kit.receiver import FAILING, Behaviour, Receiver, receiving


@pytest_asyncio.fixture
async def sender() -> AsyncIterator[HttpSender]:
    made = HttpSender(FORMATS, ["127.0.0.0/8"], seconds=0.5)
    yield made
    await made.aclose()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def always(receiver: Receiver, behaviour: Behaviour) -> None:
    receiver.behave = lambda _: behaviour


@pytest.mark.parametrize("behaviour", ["ok", "slow", "flood", "drip", "bomb", "longer"])
async def test_an_answer_of_2xx_is_a_delivery_however_long_its_body(
    sender: HttpSender, receiver: Receiver, behaviour: Behaviour
) -> None:
    always(receiver, behaviour)
    async with asyncio.timeout(5):
        answer = await sender.call(receiver.url, {"x": "y"}, b"body")
    assert answer.delivered
    assert (receiver.deliveries[0].body, receiver.deliveries[0].headers["x"]) == (b"body", "y")


@pytest.mark.parametrize("behaviour", FAILING)
async def test_any_answer_but_2xx_is_a_failure_within_its_time(
    sender: HttpSender, receiver: Receiver, behaviour: Behaviour
) -> None:
    always(receiver, behaviour)
    async with asyncio.timeout(5):
        answer = await sender.call(receiver.url, {}, b"body")
    assert not answer.delivered
    assert answer.reason
    assert len(receiver.deliveries) == 1, "nothing is repeated or followed on its own"
    assert receiver.deliveries[0].path == "/hook"


async def test_a_failure_brings_its_retry_after_along(sender: HttpSender, receiver: Receiver) -> None:
    always(receiver, "later")
    assert (await sender.call(receiver.url, {}, b"")).retry_after == 77


async def test_an_answer_that_never_begins_is_cut_short_long_before_its_time(receiver: Receiver) -> None:
    """Each interim answer costs the event loop more than its bytes cost the receiver."""
    always(receiver, "interim")
    sender = HttpSender(FORMATS, ["127.0.0.0/8"], seconds=30)
    async with aclosing(sender), asyncio.timeout(10):
        answer = await sender.call(receiver.url, {}, b"")
    assert answer.reason == "ReadError: too many interim answers"


async def test_many_calls_at_once_begin_a_few_in_each_turn_of_the_loop(receiver: Receiver) -> None:
    turn, begun = 0, Counter[int]()

    async def turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def resolve(host: str, _: int) -> Sequence[str]:
        begun[turn] += 1
        return [host]

    sender = HttpSender(FORMATS, ["127.0.0.0/8"], seconds=30, resolve=resolve)
    async with aclosing(sender), asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(turns())
        answers = await asyncio.gather(*(sender.call(receiver.url, {}, b"") for _ in range(50)))
        counting.cancel()
    assert all(answer.delivered for answer in answers)
    assert max(begun.values()) <= BEGUN_AT_ONCE


async def test_whatever_the_client_library_raises_is_a_failed_call(
    sender: HttpSender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise KeyError("no error that the library names")

    monkeypatch.setattr("adapters.webhook.sender.retry_after_of", fail)
    assert (await sender.call(receiver.url, {}, b"")).reason == "the answer was not understood: KeyError"


NUMBERS = st.integers(0, 10**21)
ZONES = st.sampled_from(["GMT", "+9999", "-2359"])


@given(st.text() | st.builds("Mon, {} Jan {} {}:00:00 {}".format, NUMBERS, NUMBERS, NUMBERS, ZONES))
@example("Mon, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
def test_no_retry_after_is_more_than_a_number_of_seconds_or_none(value: str) -> None:
    seconds = retry_after_of(value)
    assert seconds is None or 0 <= seconds < float("inf")


async def test_connections_are_used_again(sender: HttpSender, receiver: Receiver) -> None:
    calls = [await sender.call(receiver.url, {}, b"") for _ in range(20)]
    assert all(answer.delivered for answer in calls)


async def test_a_call_has_15_seconds() -> None:
    assert CALL_SECONDS == 15


async def test_a_name_that_leads_inside_is_refused_and_nobody_is_called(receiver: Receiver) -> None:
    sender = HttpSender(FORMATS)
    answer = await sender.call(f"http://localhost:{receiver.port}/", {}, b"")
    await sender.aclose()
    assert answer.reason is not None
    assert "not of the public Internet" in answer.reason
    assert receiver.deliveries == []


async def test_the_address_that_was_checked_is_the_one_connected_to(receiver: Receiver) -> None:
    """A name that leads outside when it is asked first and inside when it is asked again."""
    answers = [["127.0.0.7", "10.0.0.1"], ["127.0.0.1"]]
    asked: list[str] = []

    async def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    sender = HttpSender(FORMATS, ["127.0.0.7"], seconds=2, resolve=resolve)
    first = await sender.call(f"http://rebinding.example:{receiver.port}/", {}, b"")
    assert asked == ["rebinding.example"]
    assert first.reason is not None
    assert "not of the public Internet" not in first.reason, "the allowed address was tried"
    second = await sender.call(f"http://rebinding.example:{receiver.port}/", {}, b"")
    await sender.aclose()
    assert second.reason is not None
    assert "not of the public Internet" in second.reason
    assert receiver.deliveries == []


async def test_the_host_header_keeps_the_name(receiver: Receiver) -> None:
    async def resolve(_: str, __: int) -> Sequence[str]:
        return ["127.0.0.1"]

    sender = HttpSender(FORMATS, ["hook.example"], resolve=resolve)
    assert (await sender.call(f"http://hook.example:{receiver.port}/", {}, b"")).delivered
    await sender.aclose()
    assert receiver.deliveries[0].headers["host"] == f"hook.example:{receiver.port}"


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    sender = HttpSender(FORMATS, ["127.0.0.1"])
    assert (await sender.call(receiver.url, {}, b"")).delivered
    await sender.aclose()


async def test_a_port_on_which_nobody_listens_is_a_failure(sender: HttpSender) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = await sender.call(f"http://127.0.0.1:{unused.getsockname()[1]}/", {}, b"")
    assert answer.status is None
    assert answer.reason


async def test_one_name_takes_one_thread_however_often_it_is_called() -> None:
    resolver = Resolver()
    found = await asyncio.gather(*(resolver("localhost", 80) for _ in range(50)))
    resolver.close()
    assert all("127.0.0.1" in each or "::1" in each for each in found)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://user:pass@example.com/",
        "http://user@example.com/",
        "http://@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://exa mple.com/",
        "http://example.com/\r\nX: y",
        "http://example.com/#fragment",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://ex.com/" + "x" * 2_048,
    ],
)
def test_a_url_that_cannot_be_a_webhooks_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidInput):
        HttpSender(FORMATS).check_url(url)


@pytest.mark.parametrize(
    "url", ["http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://017700000001/"]
)
async def test_an_address_in_another_spelling_is_refused_when_it_is_called(url: str) -> None:
    sender = HttpSender(FORMATS)
    answer = await sender.call(url, {}, b"")
    await sender.aclose()
    assert not answer.delivered
    assert answer.status is None
    assert "public" in (answer.reason or "") or "resolve" in (answer.reason or "")
