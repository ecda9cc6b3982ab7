import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.tokens.claims import LEEWAY_SECONDS
from adapters.tokens.secret import SECRET_BYTES, SecretTokens
from adapters.tokens.signature import TOKEN_BYTES
from core.access.callers import Caller
from core.errors import StartupRefused, Unauthenticated
from entrypoints.cli.token import lifetime, minted
from entrypoints.process.settings import Settings
from tests.kit.tokens import SECRET, claims, encoded, signed, token

TOKENS = SecretTokens(SECRET)


def now() -> datetime:
    return datetime.now(UTC)


def refused(text: str, at: datetime | None = None) -> tuple[str, str]:
    with pytest.raises(Unauthenticated) as caught:
        TOKENS.verify(text, at or now())
    return caught.value.code, caught.value.detail


def test_a_token_tells_who_the_caller_is() -> None:
    caller = TOKENS.verify(token("ann", "acme", ("operator", "viewer", "of-another-system")), now())
    assert (caller.tenant, caller.subject, sorted(caller.roles)) == ("acme", "ann", ["operator", "viewer"])
    assert caller.expires_at is not None


def test_claims_of_others_do_not_matter() -> None:
    TOKENS.verify(signed(claims() | {"aud": "x", "iss": 7, "scope": None}), now())


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "None"}, {"alg": "HS512"}, {"alg": "RS256"}, {}])
def test_no_other_algorithm_is_taken(header: dict[str, str]) -> None:
    assert refused(signed(claims(), header=header or {"typ": "JWT"}))[0] == "token_invalid"


def test_a_token_without_a_signature_is_refused() -> None:
    first, body, _ = token().split(".")
    nothing = encoded(json.dumps({"alg": "none"}).encode())
    for text in (f"{nothing}.{body}.", f"{first}.{body}.", f"{first}.{body}"):
        assert refused(text)[0] == "token_invalid"


def test_a_token_of_another_secret_or_with_a_changed_payload_is_refused() -> None:
    first, _, signature = token().split(".")
    other = token(tenant="other").split(".")[1]
    assert refused(signed(claims(), b"x" * 32)) == ("token_invalid", "the token's signature is wrong")
    assert refused(f"{first}.{other}.{signature}") == ("token_invalid", "the token's signature is wrong")


def test_a_token_ends_at_its_exp_to_the_moment() -> None:
    content = claims() | {"exp": 2_000_000_000.5}
    end = datetime.fromtimestamp(2_000_000_000.5, UTC)
    TOKENS.verify(signed(content), end - timedelta(milliseconds=1))
    assert refused(signed(content), end) == ("expired", "the token has expired")


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_may_be_ahead_of_our_clock_a_little(claim: str) -> None:
    begins = int(time.time()) + 60
    text = signed(claims() | {claim: begins})
    TOKENS.verify(text, datetime.fromtimestamp(begins - LEEWAY_SECONDS, UTC))
    assert refused(text)[1] == "the token is not valid yet"


@pytest.mark.parametrize("claim", ["sub", "tenant", "roles", "exp"])
def test_every_claim_is_needed(claim: str) -> None:
    content = claims()
    del content[claim]
    assert claim in refused(signed(content))[1]


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("tenant", 7),
        ("tenant", ["acme"]),
        ("tenant", None),
        ("tenant", ""),
        ("tenant", "x" * 257),
        ("sub", 7),
        ("sub", "\ud800"),
        ("roles", "admin"),
        ("roles", [1]),
        ("roles", {"admin": True}),
        ("exp", "2100-01-01"),
        ("exp", True),
        ("exp", None),
        ("exp", -1),
        ("nbf", "now"),
    ],
)
def test_a_claim_of_a_wrong_kind_is_refused(claim: str, value: Any) -> None:
    assert refused(signed(claims() | {claim: value}))[0] == "token_invalid"


@pytest.mark.parametrize("exp", [9_999_999_999, 1e18])
def test_a_token_that_ends_beyond_any_date_holds(exp: float) -> None:
    assert TOKENS.verify(signed(claims() | {"exp": exp}), now()).expires_at is not None


@pytest.mark.parametrize(
    "text", ["", "x", "..", "a.b.c", "ä.b.c", "\ud800.b.c", "x" * (TOKEN_BYTES + 1), "tck_1_2"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    assert refused(text)[0] == "token_invalid"


@pytest.mark.parametrize("content", [[], "ann", None, 7])
def test_claims_that_are_no_object_are_refused(content: Any) -> None:
    assert refused(signed(content))[0] == "token_invalid"


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    SecretTokens("x" * SECRET_BYTES)
    with pytest.raises(StartupRefused, match="at least 32 bytes"):
        SecretTokens("x" * (SECRET_BYTES - 1))


def test_a_minted_token_is_taken() -> None:
    caller = Caller(tenant="acme", subject="ann", roles=frozenset({"viewer"}))
    read = TOKENS.verify(TOKENS.mint(caller, now(), timedelta(hours=1)), now())
    assert (read.tenant, read.subject, sorted(read.roles)) == ("acme", "ann", ["viewer"])


@pytest.mark.parametrize(
    ("text", "life"), [("90s", timedelta(seconds=90)), ("1h", timedelta(hours=1)), ("30d", timedelta(30))]
)
def test_a_lifetime_is_read_in_any_unit(text: str, life: timedelta) -> None:
    assert lifetime(text) == life


@pytest.mark.parametrize("text", ["", "1", "h", "0s", "-1h", "1.5h", "1w", "99999d"])
def test_what_is_no_lifetime_is_refused(text: str) -> None:
    with pytest.raises(StartupRefused, match="1s to"):
        lifetime(text)


def test_no_token_is_minted_that_would_be_refused() -> None:
    with pytest.raises(StartupRefused, match="sub"):
        minted(Settings(auth_secret=SECRET), "", "default", frozenset({"viewer"}), "1h")
    with pytest.raises(StartupRefused, match="TOCSIN_AUTH_SECRET"):
        minted(Settings(), "ann", "default", frozenset({"viewer"}), "1h")
