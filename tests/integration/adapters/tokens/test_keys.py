"""Tokens of an issuer whose public keys are in a file."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.tokens.key_sources import KeyFile
from adapters.tokens.keys import KEPT_SECONDS, KeySetTokens
from core.errors import StartupRefused, Unauthenticated
from tests.kit.tokens import claims, signed

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 (it is to be refused)
EC = ec.generate_private_key(ec.SECP256R1())
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def tokens(file: Path, clock: Clock) -> Callable[..., KeySetTokens]:
    def write(*keys: dict[str, Any]) -> KeySetTokens:
        file.write_text(json.dumps({"keys": keys}))
        source = KeyFile(file)
        return KeySetTokens(source, source.first, clock=clock)

    return write


def public(key: Private, kid: str | None, **members: str) -> dict[str, Any]:
    own: dict[str, Any]
    if isinstance(key, rsa.RSAPrivateKey):
        own = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        own = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return own | ({} if kid is None else {"kid": kid}) | members


def made(key: Private, kid: str | None = None, **more: Any) -> str:
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    return jwt.encode(claims() | more, key, algorithm, headers=None if kid is None else {"kid": kid})


def refusal(tokens: KeySetTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(token, datetime.now(UTC))
    return caught.value.detail


@pytest.mark.parametrize("key", [RSA, EC])
def test_a_token_is_verified_by_either_algorithm(tokens: Callable[..., KeySetTokens], key: Private) -> None:
    both = tokens(public(RSA, "r"), public(EC, "e"))
    kid = "r" if key is RSA else "e"
    assert both.verify(made(key, kid), datetime.now(UTC)).subject == "ann"
    assert "signature" in refusal(both, made(OTHER, "r"))
    assert "signed with" in refusal(both, made(key, "e" if kid == "r" else "r"))


def test_the_kid_tells_which_key_verifies(tokens: Callable[..., KeySetTokens]) -> None:
    two = tokens(public(RSA, "a"), public(OTHER, "b"))
    assert two.verify(made(OTHER, "b"), datetime.now(UTC)).subject == "ann"
    assert "signature" in refusal(two, made(OTHER, "a"))
    assert "kid" in refusal(two, made(RSA))
    assert tokens(public(RSA, "a")).verify(made(RSA), datetime.now(UTC)).subject == "ann"


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(
    tokens: Callable[..., KeySetTokens],
) -> None:
    one = tokens(public(RSA, "a"))
    parts = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (RSA.public_key().public_bytes(*parts), json.dumps(public(RSA, "a")).encode()):
        token = signed(claims(), secret, {"alg": "HS256", "kid": "a"})
        assert refusal(one, token) == "the token must be signed with RS256"
    assert "RS256" in refusal(one, signed(claims(), b"", {"alg": "none", "kid": "a"}))


def test_a_token_that_brings_its_own_key_does_not_get_far(tokens: Callable[..., KeySetTokens]) -> None:
    headers = {"jwk": public(OTHER, "a"), "jku": "http://evil", "kid": "a"}
    token = jwt.encode(claims(), OTHER, "RS256", headers=headers)
    assert "signature" in refusal(tokens(public(RSA, "a")), token)


def test_an_expired_token_is_refused_whoever_signed_it(tokens: Callable[..., KeySetTokens]) -> None:
    assert "expired" in refusal(tokens(public(RSA, "a")), made(RSA, "a", exp=time.time() - 1))


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def test_a_file_that_changes_is_read_again(
    tokens: Callable[..., KeySetTokens], file: Path, clock: Clock
) -> None:
    rotated = tokens(public(RSA, "a"))
    write(file, json.dumps({"keys": [public(OTHER, "b")]}))
    await rotated.prepare(made(RSA, "a"))
    assert rotated.verify(made(RSA, "a"), datetime.now(UTC)).subject == "ann"
    clock.now += KeyFile.fresh_seconds
    await rotated.prepare(made(RSA, "a"))
    assert "kid" in refusal(rotated, made(RSA, "a"))
    assert rotated.verify(made(OTHER, "b"), datetime.now(UTC)).subject == "ann"


async def test_the_keys_of_a_file_that_broke_are_kept_for_a_time(
    tokens: Callable[..., KeySetTokens], file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tokens(public(RSA, "a"))
    write(file, "half a fi")
    clock.now += KeyFile.fresh_seconds
    await broken.prepare(made(RSA, "a"))
    assert "kept for a time" in caplog.text
    assert broken.verify(made(RSA, "a"), datetime.now(UTC)).subject == "ann"
    clock.now += KEPT_SECONDS + 1
    assert "too long" in refusal(broken, made(RSA, "a"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"keys": 1}',
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}',
        '{"keys": [{"kty": "RSA", "n": "", "e": "AQAB"}]}',
        json.dumps({"keys": [public(RSA, "a", use="enc")]}),
        json.dumps({"keys": [public(RSA, "a", alg="RS512")]}),
        json.dumps({"keys": [public(ec.generate_private_key(ec.SECP384R1()), "a")]}),
        json.dumps({"keys": [public(WEAK, "a")]}),
    ],
)
def test_a_key_file_without_a_usable_key_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(StartupRefused, match="JWKS"):
        KeyFile(file)


def test_a_key_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(StartupRefused, match="No such file"):
        KeyFile(file)


class BrokenSource:
    """A source that fails as nobody foresaw."""

    fresh_seconds = 60.0

    async def read(self) -> None:
        raise AttributeError("a bug")


async def test_a_source_that_fails_unforeseen_leaves_the_keys_as_they_are(
    tokens: Callable[..., KeySetTokens], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = tokens(public(RSA, "r"))
    keys._source = BrokenSource()
    clock.now += 2 * BrokenSource.fresh_seconds
    await keys.prepare(made(RSA, "r"))
    assert keys.verify(made(RSA, "r"), datetime.now(UTC)).subject == "ann"
    assert "a bug" in caplog.text
