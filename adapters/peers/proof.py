"""How two processes prove to each other that they know the log's key, which never travels (ADR 0035)."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

import msgspec

from core.alarm.events import SCHEMA_VERSION
from core.log.forwarding import Answer, Forward

NONCE_BYTES = 32

_SHAPES = msgspec.json.encode(msgspec.json.schema_components([Forward, Answer]), order="sorted")
# A field that the other side does not know would be lost on the way, and the log would lack it.
_SHAPE = hashlib.sha256(_SHAPES).hexdigest()[:16]

GREETING = f"tocsin-peer/1 events/{SCHEMA_VERSION} {_SHAPE} ".encode()
"""What a connection begins with; processes of versions that differ in it do not forward to each other."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One handshake. `holder` names the process that appends: no other one can stand in for it."""

    key: bytes
    holder: str
    asked: bytes
    answered: bytes

    @property
    def of_holder(self) -> bytes:
        """What the process that appends proves itself by."""
        return self._proof(b"holder")

    @property
    def of_peer(self) -> bytes:
        """What the process that forwards proves itself by."""
        return self._proof(b"peer")

    def _proof(self, side: bytes) -> bytes:
        message = b"\0".join((GREETING, side, self.holder.encode(), self.asked + self.answered))
        return hmac.digest(self.key, message, hashlib.sha256)


def nonce() -> bytes:
    """Draw a nonce."""
    return secrets.token_bytes(NONCE_BYTES)


def same(one: bytes, other: bytes) -> bool:
    """Compare two proofs in a time that tells nothing."""
    return hmac.compare_digest(one, other)
