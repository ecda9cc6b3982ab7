"""What verifies callers' tokens, by the settings."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from core.access.callers import Caller
from core.errors import StartupRefused
from entrypoints.process.host import MACHINE
from entrypoints.process.tokens import signed_token, token_verifier
from tests.kit.tokens import SECRET, token


def test_a_secret_verifies_the_tokens_that_it_signed() -> None:
    verifier = token_verifier(SECRET, None)
    assert verifier is not None
    assert verifier.verify(token("ann"), MACHINE.clock.now()).subject == "ann"


def test_a_short_secret_or_a_file_without_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match="at least 32 bytes"):
        token_verifier("short", None)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": []}))
    with pytest.raises(StartupRefused):
        token_verifier(None, str(file))


def test_without_a_secret_or_keys_nothing_verifies_and_nothing_signs() -> None:
    assert token_verifier(None, None) is None
    caller = Caller(tenant="default", subject="ann", roles=frozenset({"viewer"}))
    with pytest.raises(StartupRefused, match="TOCSIN_AUTH_SECRET"):
        signed_token(None, caller, timedelta(hours=1))
