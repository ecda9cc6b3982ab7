"""Authentication: finds the caller behind a token or API key, and honours revocations of every process."""

import asyncio
import hmac
import logging
import re
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from core.access.callers import ANYONE, Caller
from core.access.ports import UNKNOWN_API_KEY, ApiKey, ApiKeys, RevocationLog, TokenVerifier
from core.access.revocations import Kind, Revocation, Revocations
from core.backoff import backoff
from core.errors import Refused, Unauthenticated, Unavailable
from core.host import Host
from core.roles import Role

logger = logging.getLogger("tocsin.authentication")

CACHED_KEYS = 10_000
KEY_CACHE_SECONDS = 60.0
"""How long a cached key is used without another lookup; a revocation removes it sooner."""
UNKNOWN_KEY_SECONDS = 1.0
"""How long an unknown key is refused without another lookup, which delays its first use elsewhere."""
LONGEST_PAUSE_SECONDS = 2.0
KEY_SUBJECT = "key:"
"""The prefix of an API key's subject; the key's name follows."""

_KEY = re.compile(r"tck_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")

Revoked = Callable[[Revocation], None]


@dataclass(frozen=True, slots=True)
class NewKey:
    """An API key and the only copy of its secret, in the form that clients send."""

    key: ApiKey
    text: str


class Authentication:
    """Finds the caller behind a credential. Without `tokens` (None), everybody may do everything.

    A key is looked up once and cached. Call `start` before the first request. `run` calls `revoked` for
    each revocation, on every process.
    """

    def __init__(self, tokens: TokenVerifier | None, keys: ApiKeys, log: RevocationLog, host: Host) -> None:
        self._tokens = tokens
        self._keys = keys
        self._log = log
        self._clock, self._ids, self._chance = host.clock, host.ids, host.chance
        self._revocations = Revocations()
        # By key id, least recently used first, each with the loop's time of its lookup.
        self._cache: OrderedDict[str, tuple[ApiKey, float]] = OrderedDict()
        # The ids that no key had, the oldest lookup first.
        self._unknown: OrderedDict[str, float] = OrderedDict()

    @property
    def required(self) -> bool:
        """Whether callers must prove who they are."""
        return self._tokens is not None

    async def caller(self, credential: str | None) -> Caller:
        """Return the caller with this token or API key. Raises Unauthenticated, Unavailable.

        The result holds until the next await: a revocation may arrive then.
        """
        if self._tokens is None:
            return ANYONE
        if not credential:
            raise Unauthenticated("token_missing", "send `Authorization: Bearer` with a token or an API key")
        matched = _KEY.fullmatch(credential)
        if matched is None:
            await self._tokens.prepare(credential)
            caller = self._tokens.verify(credential, self._clock.now())
        else:
            caller = await self._caller_with_key(*matched.groups())
        self._revocations.check(caller)
        return caller

    async def create_key(
        self, by: Caller, name: str, roles: frozenset[Role], expires_at: datetime | None
    ) -> NewKey:
        """Create a key for the caller's tenant. Raises Refused if the tenant has too many; Unavailable."""
        secret = urlsafe_b64encode(self._ids.secret()).rstrip(b"=").decode()
        now = self._clock.now()
        key = ApiKey(
            id=self._ids.new().replace("-", ""),
            tenant=by.tenant,
            name=name,
            roles=roles,
            digest=_digest(secret),
            created_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
            created_by=by.subject,
            expires_at=expires_at,
        )
        await self._keys.add(key)
        self._unknown.pop(key.id, None)
        return NewKey(key, f"tck_{key.id}_{secret}")

    async def keys_of(self, tenant: str) -> Sequence[ApiKey]:
        """Return the tenant's keys. Raises Unavailable."""
        return await self._keys.of_tenant(tenant)

    async def revoke_key(self, by: Caller, key_id: str) -> None:
        """Revoke a key on every process, and end its sessions.

        Raises:
            Refused: the tenant has no such key.
            Unavailable: the key may be revoked already; ask again.
        """
        key = await self._keys.find(key_id)
        if key is None or key.tenant != by.tenant:
            raise Refused(UNKNOWN_API_KEY, "there is no such API key")
        # Record first: a process that looks the key up in between refuses it nevertheless.
        await self._record("key", by, key_id, "the API key was revoked")
        await self._keys.remove(key.tenant, key.id)

    async def disconnect(self, by: Caller, subject: str, reason: str, *, revoke: bool) -> None:
        """End a subject's sessions on every process; `revoke` also refuses its present tokens.

        Raises:
            Unavailable: the sessions may end nevertheless; ask again.
        """
        await self._record("subject", by, subject, reason, lasting=revoke)

    async def start(self) -> None:
        """Read the revocations so far. Raises Unavailable."""
        self._revocations.take(await self._log.read(None))

    async def run(self, bell: Callable[[], asyncio.Event], revoked: Revoked) -> None:
        """Read new revocations for ever, whenever the bell rings."""
        failures = 0
        while True:
            # Listen before reading: a revocation in between would be missed.
            rung = bell()
            try:
                await self._read(revoked)
            except Unavailable as error:
                failures += 1
                logger.warning("revocations: %s", error)
                await asyncio.sleep(backoff(failures, 0.05, LONGEST_PAUSE_SECONDS, self._chance()))
            else:
                failures = 0
                await rung.wait()

    async def _read(self, revoked: Revoked) -> None:
        for revocation in self._revocations.take(await self._log.read(self._revocations.after)):
            logger.info("revoked: %s %s of %s", revocation.kind, revocation.subject, revocation.tenant)
            if revocation.kind == "key":
                self._cache.pop(revocation.subject, None)
            revoked(revocation)

    async def _record(
        self, kind: Kind, by: Caller, subject: str, reason: str, *, lasting: bool = False
    ) -> None:
        await self._log.add(
            Revocation(
                id=self._ids.new(),
                kind=kind,
                tenant=by.tenant,
                subject=subject,
                at=self._clock.now(),
                reason=reason,
                lasting=lasting,
            )
        )

    async def _caller_with_key(self, key_id: str, secret: str) -> Caller:
        key = await self._find_key(key_id)
        if key is None or not hmac.compare_digest(key.digest, _digest(secret)):
            raise Unauthenticated("token_invalid", "there is no such API key, or it was revoked")
        caller = Caller(
            tenant=key.tenant,
            subject=f"{KEY_SUBJECT}{key.name}",
            roles=key.roles,
            issued_at=key.created_at,
            expires_at=key.expires_at,
            key_id=key.id,
        )
        caller.check(self._clock.now())
        return caller

    async def _find_key(self, key_id: str) -> ApiKey | None:
        clock = asyncio.get_running_loop().time
        cached = self._cache.get(key_id)
        if cached is not None and clock() - cached[1] < KEY_CACHE_SECONDS:
            self._cache.move_to_end(key_id)
            return cached[0]
        if clock() - self._unknown.get(key_id, float("-inf")) < UNKNOWN_KEY_SECONDS:
            return None
        key = await self._keys.find(key_id)
        if key is None:
            self._cache.pop(key_id, None)
            self._unknown.pop(key_id, None)
            self._unknown[key_id] = clock()
            if len(self._unknown) > CACHED_KEYS:
                self._unknown.popitem(last=False)
            return None
        self._cache[key_id] = (key, clock())
        self._cache.move_to_end(key_id)
        if len(self._cache) > CACHED_KEYS:
            self._cache.popitem(last=False)
        return key


def _digest(secret: str) -> bytes:
    """Hash a secret. Its 256 random bits cannot be guessed, so a fast hash is enough."""
    return sha256(secret.encode()).digest()
