"""The client's own token: asked for in bounded time, and replaced before it expires."""

import asyncio
import base64
import binascii
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec

from entrypoints.client.errors import TokenUnavailable

logger = logging.getLogger("tocsin.client")

TOKEN_SECONDS = 30.0
"""How long a token may take to get."""
REFRESH_EARLY = 30.0
"""How many seconds before its end a token is replaced."""
REFRESH_EVERY = 5.0
"""How often that is tried at most, whatever the clocks say."""

GetToken = Callable[[bool], Awaitable[str]]
"""Gets a token; told whether the server did not take the last one, so that a kept one is of no use."""


class _Claims(msgspec.Struct):
    exp: float | None = None


class ClientToken:
    """Where a client gets its tokens from."""

    def __init__(self, get: GetToken) -> None:
        self._get = get
        # Whether the server did not take the last one.
        self.refused = False

    async def get(self) -> str:
        """Return a token. Raises TokenUnavailable."""
        try:
            async with asyncio.timeout(TOKEN_SECONDS):
                return await self._get(self.refused)
        except Exception as error:
            # Whatever a caller's function raises: it may well succeed the next time.
            raise TokenUnavailable(f"no token: {error!r}") from error

    async def renew(self, token: str, send: Callable[[str], Awaitable[None]]) -> None:
        """Hand a new token to `send` each time before the old one expires; ends with one that never does."""
        wait = refresh_in(token, time.time())
        while wait is not None:
            await asyncio.sleep(wait)
            try:
                token = await self.get()
            except TokenUnavailable as error:
                # The old one is good for a while; when it is not, the server says so by 4401.
                logger.warning("%s", error)
                wait = REFRESH_EVERY
            else:
                await send(token)
                wait = refresh_in(token, time.time())


def refresh_in(token: str, now: float) -> float | None:
    """Return after how many seconds a JWT (RFC 7519) has to be replaced; None: it does not expire."""
    try:
        part = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=_Claims)
    except (IndexError, ValueError, binascii.Error, msgspec.MsgspecError):
        return None
    if claims.exp is None:
        return None
    left = claims.exp - now
    return max(left - REFRESH_EARLY, left / 2, REFRESH_EVERY)
