"""Calls webhooks over HTTP."""

import asyncio
import logging
import ssl
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from urllib.parse import urlsplit

import httpx

from adapters.webhook.network import GuardedBackend, GuardedTransport, Resolve, Resolver
from adapters.webhook.signing import signature
from adapters.webhook.ssrf import SsrfGuard
from core.errors import AddressRefused, InvalidInput
from core.outbox.ports import Formats, WebhookMessage
from core.outbox.schedule import CallResult
from core.outbox.webhook import Webhook

logger = logging.getLogger("tocsin.webhook")

CALL_SECONDS = 15.0
"""How long a call may take, from resolving the name to reading the answer."""
BODY_SECONDS = 1.0
"""How long reading an answer's body may take; read to its end, the connection can be used again."""
ANSWER_BYTES = 64 * 1024
"""How much of an answer's body is read and thrown away."""
BEGUN_AT_ONCE = 4
"""How many calls begin before all else has its turn: each takes 1 to 3 ms, and hundreds may be due."""
URL_LENGTH = 2_048
KEEPALIVE = 256
"""How many idle connections are kept, to all endpoints together."""


class HttpSender:
    """Calls webhooks (see core.outbox.ports.CheckingSender); close it with `aclose`.

    It follows no redirects, uses no proxies or credentials of the environment, and keeps no cookies.
    """

    def __init__(
        self,
        formats: Formats,
        allowed: Iterable[str] = (),
        *,
        seconds: float = CALL_SECONDS,
        resolve: Resolve | None = None,
    ) -> None:
        """Take the formats, and the networks and hosts that may be called beyond the public Internet.

        Raises:
            StartupRefused: an entry of `allowed` is neither a network nor a host.
        """
        self._formats = formats
        self._guard = SsrfGuard(allowed)
        self._seconds = seconds
        self._beginning = asyncio.Semaphore(BEGUN_AT_ONCE)
        self._resolver = Resolver()
        backend = GuardedBackend(self._guard, resolve or self._resolver)
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(backend, KEEPALIVE),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 (the whole call has one)
            headers={"User-Agent": "tocsin", "Accept-Encoding": "identity", "Accept": "*/*"},
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()
        self._resolver.close()

    def check_url(self, url: str) -> None:
        """Check a webhook's URL, as far as possible without calling it. Raises InvalidInput."""
        if len(url) > URL_LENGTH or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
            raise InvalidInput(f"a url has at most {URL_LENGTH} visible ASCII characters")
        try:
            parts, parsed = urlsplit(url), httpx.URL(url)
            host, port = parts.hostname, parts.port
        except (ValueError, httpx.InvalidURL):
            raise InvalidInput("the url is malformed") from None
        if parts.scheme not in ("http", "https") or not host or port == 0 or parsed.host != host:
            raise InvalidInput("a url is http:// or https://, and has a host")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise InvalidInput("a url has no user, no password and no fragment")
        try:
            self._guard.check_literal(host)
        except AddressRefused as refusal:
            raise InvalidInput(f"the url cannot be used: {refusal}") from None

    async def send(self, webhook: Webhook, message: WebhookMessage, now: datetime) -> CallResult:
        """Post the message, sealed and signed; return the answer or the failure and raise nothing."""
        message_format = self._formats[webhook.format]
        body, timestamp = message_format.sealed(webhook, message.body), int(now.timestamp())
        headers = {
            "content-type": message_format.traits.content_type,
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
        }
        if webhook.secrets:
            headers["webhook-signature"] = signature(webhook.secrets, message.id, timestamp, body)
        if message.trace is not None:
            headers["traceparent"] = message.trace
        return await self.call(webhook.url, headers, body)

    async def call(self, url: str, headers: Mapping[str, str], body: bytes) -> CallResult:
        """Post the body; return the answer or the failure within CALL_SECONDS and raise nothing.

        The time counts from when the call's turn has come.
        """
        async with self._beginning:
            await asyncio.sleep(0)
        began = monotonic()
        try:
            answer = await self._post(url, headers, body)
        except TimeoutError:
            answer = CallResult(error=f"no answer within {self._seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
            answer = CallResult(error=_reason(error))
        except Exception as error:
            # The libraries promise no complete list of errors, and the receiver chooses what they parse.
            logger.exception("an answer of %s was not understood", urlsplit(url).hostname)
            answer = CallResult(error=f"the answer was not understood: {type(error).__name__}")
        return CallResult(answer.status, answer.error, answer.retry_after, monotonic() - began)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> CallResult:
        request = self._client.build_request("POST", url, headers=dict(headers), content=body)
        reading = min(BODY_SECONDS, self._seconds / 2)
        async with asyncio.timeout(self._seconds - reading):
            response = await self._client.send(request, stream=True)
        self._client.cookies.clear()
        # The status decides; the body is read only so that the connection can be used again.
        with suppress(httpx.HTTPError, OSError, TimeoutError):
            async with asyncio.timeout(reading), aclosing(response):
                await _read_away(response)
        return CallResult(response.status_code, None, retry_after_of(response.headers.get("retry-after")))


def retry_after_of(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110 §10.2.3); None: missing or malformed."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        at = parsedate_to_datetime(value)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None


async def _read_away(response: httpx.Response) -> None:
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > ANSWER_BYTES:
            return


def _reason(error: Exception) -> str:
    """Return an error as one short line, which reveals nothing of the answer."""
    text = str(error).partition("\n")[0] or type(error).__name__
    return f"{type(error).__name__}: {text}"[:200]
