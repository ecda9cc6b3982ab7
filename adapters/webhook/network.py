"""Connects to webhooks: resolves a name once and connects only to addresses that it has checked."""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore
import httpx

from adapters.webhook.ssrf import SsrfGuard
from core.errors import AddressRefused

RESOLVERS = 32
"""How many names are resolved at once, each in a thread of its own."""
ADDRESSES = 4
"""How many of a name's addresses are tried."""

READ_BYTES = 4 * 1024
"""How much of an answer is parsed at once: interim answers and small chunks cost far more than they weigh."""
ANSWER_BYTES = 256 * 1024
"""How much a receiver may send in answer to one request, headers, interim answers and framing included."""
INTERIM_ANSWERS = 16
"""How many answers of 1xx one may begin with (RFC 9110 §15.2): each of them takes 0.1 ms to parse."""
_INTERIM = re.compile(rb"HTTP/\d\.\d 1\d\d")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Return the addresses of a host; raises OSError."""


class Resolver:
    """Resolves names by the system's resolver, in its own threads: a slow name server delays nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, "tocsin-resolve")
        self._under_way: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host; raises OSError."""
        key = (host, port)
        resolving = self._under_way.get(key)
        if resolving is None:
            # At most one thread for each name, however many calls wait for its name server.
            loop = asyncio.get_running_loop()
            resolving = self._under_way[key] = loop.run_in_executor(self._threads, _resolve, host, port)
            resolving.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(resolving)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answered(self, key: tuple[str, int], done: "asyncio.Future[Sequence[str]]") -> None:
        del self._under_way[key]
        if not done.cancelled():
            # Mark the error as seen: nobody may be waiting for it any more.
            done.exception()


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection that parses little at once, and ends an answer that goes on for too long."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left = ANSWER_BYTES
        self._interim_left = INTERIM_ANSWERS

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 (httpcore's)
        """Read the next bytes. Raises httpcore.ReadError: it is too long, or too many come before it."""
        if self._left <= 0:
            raise httpcore.ReadError("the answer goes on for too long")
        read = await self._stream.read(min(max_bytes, READ_BYTES), timeout)
        self._left -= len(read)
        # A body may have such lines, too; it is thrown away, and the status known by then.
        self._interim_left -= len(_INTERIM.findall(read))
        if self._interim_left < 0:
            raise httpcore.ReadError("too many interim answers")
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 (httpcore's)
        """Write a part of a request; the answer to it may again be as long as any."""
        self._left = ANSWER_BYTES
        self._interim_left = INTERIM_ANSWERS
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
    ) -> httpcore.AsyncNetworkStream:
        """Encrypt the connection."""
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Return what is known about the connection."""
        return self._stream.get_extra_info(info)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only where the guard allows; TLS and the Host header keep the name."""

    def __init__(self, guard: SsrfGuard, resolve: Resolve) -> None:
        self._guard = guard
        self._resolve = resolve
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the host's first address that is allowed and answers."""
        failure: Exception = httpcore.ConnectError("the host's name has no address")
        for address in await self._allowed(host, port):
            try:
                stream = await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return BoundedStream(stream)
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 (as above)
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: webhooks are called over TCP alone."""
        raise httpcore.ConnectError(f"webhooks are not called by {path}, {timeout}, {socket_options}")

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        await self._backend.sleep(seconds)

    async def _allowed(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the host's name does not resolve") from error
        allowed, refusal = [], None
        for address in addresses:
            try:
                self._guard.check(host, address)
            except AddressRefused as error:
                refusal = error
            else:
                allowed.append(address)
        if refusal is not None and not allowed:
            raise httpcore.ConnectError(str(refusal)) from refusal
        return allowed[:ADDRESSES]


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a GuardedBackend, without proxies and without a limit on connections."""

    def __init__(self, backend: GuardedBackend, keepalive: int) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        # httpx has no argument for the backend; a limit would let hanging endpoints hold up the others.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=keepalive,
            keepalive_expiry=10.0,
            network_backend=backend,
        )


def _resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
