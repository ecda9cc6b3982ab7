"""Connecting: the name is resolved once, and what it led to is checked and connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore
import httpx

from adapters.webhook.ssrf import SsrfGuard
from core.errors import AddressRefused

RESOLVERS = 32
"""How many names are resolved at the same time; the system's resolver takes a thread each."""
ADDRESSES = 4
"""How many of a name's addresses are tried."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Return the addresses of a host; raises OSError."""


class Resolver:
    """Resolves names as the system does, in threads of its own: a slow server holds up nobody else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, "tocsin-resolve")
        self._under_way: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host; raises OSError."""
        key = (host, port)
        asked = self._under_way.get(key)
        if asked is None:
            # One thread for each name at most, however often it is called while its server is silent.
            loop = asyncio.get_running_loop()
            asked = self._under_way[key] = loop.run_in_executor(self._threads, _resolve, host, port)
            asked.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answered(self, key: tuple[str, int], done: "asyncio.Future[Sequence[str]]") -> None:
        del self._under_way[key]
        if not done.cancelled():
            # It may be that nobody waits for it any more.
            done.exception()


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
        """Connect to the first address of the host that is allowed and answers."""
        failure: Exception = httpcore.ConnectError("its name has no address")
        for address in await self._allowed(host, port):
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
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
        """Sleep for so many seconds."""
        await self._backend.sleep(seconds)

    async def _allowed(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("its name does not resolve") from error
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
    """httpx's transport over a GuardedBackend; it knows no proxies and no limit but each endpoint's own."""

    def __init__(self, backend: GuardedBackend, keepalive: int) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        # httpx has no argument for the backend; a limit here would let hanging endpoints hold up the others.
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
