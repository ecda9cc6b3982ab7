"""RS256 and ES256: tokens of an issuer whose public keys are in a key set (JWKS, RFC 7517)."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime

from jwt import PyJWK

from adapters.tokens.claims import ANY, Meant, claims_of
from adapters.tokens.key_set import Keys
from adapters.tokens.key_sources import KeySource
from adapters.tokens.signature import header, verified
from core.access.callers import Caller
from core.errors import Unauthenticated, UnusableKeySet

logger = logging.getLogger("tocsin.tokens")

AGAIN_SECONDS = 10.0
"""The shortest time between two reads for unknown keys, whatever keys tokens name."""
KEPT_SECONDS = 3600.0
"""How long keys are used whose source cannot be read any more."""


class KeySetTokens:
    """Verifies tokens by the keys of a source (see core.access.ports.TokenVerifier).

    Keys are read when a token comes: anew once they are no longer fresh, and for an unknown key, with a
    bound. Keys that left the source end. A source that cannot be read leaves the keys as they are, for a
    bounded time.
    """

    def __init__(
        self,
        source: KeySource,
        keys: Keys | None = None,
        meant: Meant = ANY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._meant = meant
        self._clock = clock
        self._keys: Keys = keys or {}
        self._read_at = self._tried_at = float("-inf") if keys is None else clock()
        self._reading: asyncio.Task[None] | None = None

    async def prepare(self, token: str) -> None:
        """Read the keys anew if they are old or the token's is unknown, in bounded time."""
        now = self._clock()
        unknown = self._find(header(token).get("kid")) is None
        old = now - self._read_at >= self._source.fresh_seconds
        if not (old or unknown):
            return
        failed = self._tried_at > self._read_at
        if self._reading is None:
            pause = AGAIN_SECONDS if failed else min(AGAIN_SECONDS, self._source.fresh_seconds)
            if now - self._tried_at < pause:
                return
            self._tried_at = now
            self._reading = asyncio.create_task(self._read())
        # Of a source that failed, only tokens that need new keys wait.
        if unknown or not failed:
            await asyncio.shield(self._reading)

    def verify(self, token: str, now: datetime) -> Caller:
        """Return the token's caller. Raises Unauthenticated."""
        key, algorithm = self._key(header(token).get("kid"))
        return claims_of(verified(token, key, algorithm), self._meant).caller(now)

    def _key(self, kid: str | None) -> tuple[PyJWK, str]:
        if self._clock() - self._read_at > self._source.fresh_seconds + KEPT_SECONDS:
            raise Unauthenticated("token_invalid", "the issuer's keys have not been read for too long")
        found = self._find(kid)
        if found is None:
            raise Unauthenticated("token_invalid", "the token's key (kid) is not known")
        return found

    def _find(self, kid: str | None) -> tuple[PyJWK, str] | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _read(self) -> None:
        try:
            self._keys = await self._source.read() or self._keys
            self._read_at = self._tried_at
        except UnusableKeySet as error:
            logger.error("%s: %s; the keys read before are kept for a time", self._source, error)  # noqa: TRY400 (the message says it all)
        except Exception:
            # Nobody may be waiting who would see the error.
            logger.exception("%s: the keys read before are kept for a time", self._source)
        finally:
            self._reading = None
