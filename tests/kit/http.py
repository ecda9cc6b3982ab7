"""The HTTP application over adapters in memory, called without a socket."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import httpx

from adapters.inprocess.turns import StreamTurns
from adapters.memory.alarms import MemoryAlarmList
from adapters.memory.answers import MemoryAnswers
from adapters.memory.api_keys import MemoryApiKeys
from adapters.memory.checkpoints import MemoryCheckpoints
from adapters.memory.history import MemoryAlarmHistory, newest_rows
from adapters.memory.kpis import MemoryKpiBuckets
from adapters.memory.leases import MemoryLeases
from adapters.memory.log import Events, MemoryLog
from adapters.memory.outbox import MemoryOutbox
from adapters.memory.revocations import MemoryRevocations
from adapters.memory.webhooks import MemoryWebhooks
from adapters.webhook.formats.registry import FORMATS
from adapters.webhook.sender import HttpSender
from core.access.ports import TokenVerifier
from core.application.authentication import Authentication
from core.application.lag import Lag, lags
from core.application.projections.alarms import PROJECTION
from core.application.readiness import ReadinessReport
from core.application.webhooks.administration import WebhookAdministration
from core.coordination.ports import Checkpoint
from core.log.handler import CommandHandler
from core.log.known_alarms import KnownAlarms
from entrypoints.http.app import create_app
from entrypoints.http.services import Services
from entrypoints.http.state import AppState
from tests.kit.hosts import HOST, MillisecondClock
from tests.kit.logs import EventLog

RAISE: dict[str, Any] = {"source": "boiler-7", "type": "overpressure", "severity": "major", "text": "12 bar"}
"""The body of a raise."""


class HttpStage:
    """What stands behind the application of a test; its list moves only when `project` is called."""

    def __init__(self, log: EventLog | None = None, tokens: TokenVerifier | None = None) -> None:
        events = Events()
        self.log: EventLog = log or MemoryLog("a-log", events)
        self.alarms = MemoryAlarmList()
        self.checkpoints = MemoryCheckpoints()
        self.webhooks = MemoryWebhooks()
        self.outbox = MemoryOutbox()
        self.reasons: list[str] = []
        self._sender = HttpSender(FORMATS, ["127.0.0.0/8"])
        self.services = Services(
            handler=CommandHandler(self.log, self.log, StreamTurns(), KnownAlarms(), MemoryAnswers()),
            log=self.log,
            alarms=self.alarms,
            history=MemoryAlarmHistory(events),
            checkpoints=self.checkpoints,
            clock=MillisecondClock(),
            ids=HOST.ids,
            projected=self._projected,
            readiness=self._readiness,
            authentication=Authentication(tokens, MemoryApiKeys(), MemoryRevocations(), HOST),
            sessions=lambda _: (),
            outgoing=WebhookAdministration(
                self.webhooks, self.outbox, self._sender, self.log, HOST.clock, HOST.ids, FORMATS
            ),
            kpis=MemoryKpiBuckets(),
            lags=self._lags,
        )
        self._leases = MemoryLeases()

    def with_handler(self, handler: CommandHandler) -> None:
        """Let another handler carry out the commands."""
        self.services = replace(self.services, handler=handler)

    async def project(self) -> None:
        """Bring the alarm list up to the log."""
        page = await self.log.read(0, 10_000)
        lease = await self._leases.acquire("projector", "test", 60.0)
        assert lease is not None
        await self.alarms.write(newest_rows(page.events))
        last = page.events[-1]
        assert await self.checkpoints.advance(PROJECTION, lease, Checkpoint(last.position, last.event_id, 0))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Give a client of the application."""
        transport = httpx.ASGITransport(
            create_app(AppState(services=self.services)), raise_app_exceptions=False
        )
        async with (
            aclosing(self._sender),
            httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client,
        ):
            yield client

    async def _readiness(self) -> ReadinessReport:
        return ReadinessReport(self.reasons, await self._lags(), [])

    async def _lags(self) -> list[Lag]:
        at = (await self.checkpoints.load(PROJECTION)).position
        return await lags(self.log, {PROJECTION: at}, HOST.clock.now())

    async def _projected(self, position: int, _: float) -> bool:
        return (await self.checkpoints.load(PROJECTION)).position >= position


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Check that the answer is a problem; return its status and code."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    phrase = HTTPStatus(answer.status_code).phrase
    assert (body["status"], body["title"]) == (answer.status_code, phrase)
    assert body["detail"]
    return answer.status_code, body["code"]


async def post(http: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    """Post the fields as a body."""
    return await http.post(path, json=body)


async def raised(http: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Raise an alarm, RAISE if not told otherwise; return it."""
    answer = await post(http, "/v1/alarms", **RAISE | changes)
    assert answer.is_success, answer.text
    alarm: dict[str, Any] = answer.json()["alarm"]
    return alarm
