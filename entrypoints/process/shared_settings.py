"""Names the settings that all processes on a database must share, and digests them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from adapters.mongo.checks import DoorbellKind
from adapters.webhook.formats.registry import FORMATS
from entrypoints.process.settings import Settings

DIGEST_LENGTH = 12
"""How many digits a digest has: enough to tell values apart, too few to find a secret by."""


def digests_of(settings: Settings, kind: DoorbellKind) -> Mapping[str, str]:
    """Return a digest of each setting, by the name to look for; files are read anew."""
    shared = {
        "TOCSIN_WEBHOOK_ALLOW": sorted(settings.webhook_allow),
        "TOCSIN_OUTBOX_DAYS": settings.outbox_days,
        "TOCSIN_AUTH_SECRET or TOCSIN_AUTH_JWKS": [settings.auth_secret, _content(settings.auth_jwks)],
        "TOCSIN_AUTH_ISSUER or TOCSIN_AUTH_AUDIENCE": [settings.auth_issuer, settings.auth_audience],
        "TOCSIN_FEED": kind,
        "version (by its formats of webhooks)": sorted(FORMATS),
    }
    return {name: _digest(name, value) for name, value in shared.items()}


def _content(keys: str | None) -> str | None:
    if keys is None or "://" in keys:
        return keys
    try:
        return Path(keys).read_text()
    except (OSError, ValueError) as error:
        return type(error).__name__


def _digest(name: str, value: object) -> str:
    return hashlib.sha256(msgspec.json.encode([name, value])).hexdigest()[:DIGEST_LENGTH]
