import asyncio
import base64
import time

import msgspec
import pytest

from entrypoints.client.errors import TokenUnavailable
from entrypoints.client.token import ClientToken, refresh_in


def jwt(**claims: object) -> str:
    part = base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")
    return f"e30.{part}.x"


@pytest.mark.parametrize(
    ("left", "wait"), [(100, 70), (40, 20), (8, 5), (0, 5), (-1_000, 5), (1e9, 1e9 - 30)]
)
def test_a_token_is_replaced_early_and_never_in_a_hurry(left: float, wait: float) -> None:
    assert refresh_in(jwt(exp=1_000 + left), 1_000) == wait


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b.c", "e30.e30.x", jwt(exp=None), jwt(exp="soon"), "é.é.é"]
)
def test_a_token_that_names_no_end_does_not_expire(token: str) -> None:
    assert refresh_in(token, 0) is None


async def test_whatever_the_function_raises_is_a_token_that_is_not_there() -> None:
    async def broken(_refused: bool) -> str:
        raise KeyError("token")

    with pytest.raises(TokenUnavailable, match="KeyError"):
        await ClientToken(broken).get()


async def test_a_failed_renewal_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["", "for-ever"]
    waits: list[float] = []
    sent: list[str] = []

    async def get(_refused: bool) -> str:
        answer = answers.pop(0)
        if not answer:
            raise OSError("not now")
        return answer

    async def send(token: str) -> None:
        sent.append(token)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(time, "time", lambda: 1_000.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await ClientToken(get).renew(jwt(exp=1_100), send)
    assert (waits, sent) == ([70, 5], ["for-ever"])
