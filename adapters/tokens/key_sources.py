"""Where a key set comes from: a file, or an address of the issuer."""

import asyncio
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from adapters.tokens.key_set import KEY_SET_BYTES, Keys, UnusableKeySet, keys_of
from core.errors import StartupRefused

FETCH_SECONDS = 5.0
"""How long fetching a key set may take."""


class KeySource(Protocol):
    """Where keys are read from; `fresh_seconds`: for how long what was read is not asked for again."""

    fresh_seconds: float

    async def read(self) -> Keys | None:
        """Return the keys; None: they have not changed. Raises UnusableKeySet."""
        ...


class KeyFile:
    """A file of keys, read again when it changes.

    Raises:
        StartupRefused: the file has no usable key.
    """

    fresh_seconds = 1.0

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._seen = self._stamp()
            self.first = self._keys()
        except UnusableKeySet as error:
            raise StartupRefused(f"the JWKS file {file} cannot be used: {error}") from error

    def __str__(self) -> str:
        return f"the JWKS file {self._file}"

    async def read(self) -> Keys | None:
        """Return the keys if the file has changed."""
        return await asyncio.to_thread(self._changed)

    def _changed(self) -> Keys | None:
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        keys = self._keys()
        self._seen = stamp
        return keys

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = self._file.stat()
        except OSError as error:
            raise UnusableKeySet(error.strerror or "it cannot be read") from error
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _keys(self) -> Keys:
        try:
            with self._file.open("rb") as opened:
                return keys_of(opened.read(KEY_SET_BYTES + 1))
        except OSError as error:
            raise UnusableKeySet(error.strerror or "it cannot be read") from error


class KeyAddress:
    """An address that serves the issuer's keys; it follows no redirects and uses no proxies."""

    fresh_seconds = 300.0

    def __init__(self, url: str, seconds: float = FETCH_SECONDS) -> None:
        self._url = url
        self._seconds = seconds

    def __str__(self) -> str:
        return f"the JWKS at {urlsplit(self._url).hostname}"

    async def read(self) -> Keys | None:
        """Fetch the keys, at most KEY_SET_BYTES of them, in bounded time."""
        try:
            async with (
                asyncio.timeout(self._seconds),
                httpx.AsyncClient(trust_env=False, timeout=self._seconds) as client,
                client.stream("GET", self._url) as answer,
            ):
                if answer.status_code != httpx.codes.OK:
                    raise UnusableKeySet(f"the issuer answers {answer.status_code}")
                raw = bytearray()
                async for chunk in answer.aiter_bytes():
                    raw += chunk
                    if len(raw) > KEY_SET_BYTES:
                        break
        except TimeoutError as error:
            raise UnusableKeySet(f"no answer within {self._seconds:.0f} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnusableKeySet(f"{type(error).__name__}: {error}") from error
        return keys_of(bytes(raw))
