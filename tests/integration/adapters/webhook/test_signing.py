"""Signatures of what is sent, as Standard Webhooks has them."""

from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from adapters.webhook.signing import signature
from core.errors import InvalidInput
from core.outbox.webhook import key_of, secret_of

REFERENCE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_signature_is_that_of_the_reference_vector() -> None:
    signed = signature([REFERENCE], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=24, max_size=64), st.text(), st.integers(0, 3))
def test_the_reference_library_verifies_with_any_of_the_secrets(key: bytes, text: str, place: int) -> None:
    others = [secret_of(bytes([number]) * 24) for number in range(3)]
    secrets = [*others[:place], secret_of(key), *others[place:]]
    timestamp = int(datetime.now(UTC).timestamp())
    body = text.encode(errors="replace")
    headers = {
        "webhook-id": "an id",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secrets, "an id", timestamp, body),
    }
    for secret in secrets:
        standardwebhooks.Webhook(secret).verify(body, headers, json_parse=False)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secrets[0]).verify(body + b"x", headers, json_parse=False)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"]
)
def test_a_text_that_is_no_secret_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        key_of(secret)
    assert secret in ("", "whsec_") or secret not in refused.value.detail
