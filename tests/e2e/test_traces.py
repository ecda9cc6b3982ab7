"""Traces from a request to the delivery of its event on another process, as a collector gets them."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.kit.clients import streaming
from tests.kit.servers import TocsinServer

pytestmark = pytest.mark.e2e

SECONDS = 20
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RAISE = {"source": "pump-1", "type": "pressure_high", "severity": "major"}

Spans = dict[tuple[str, str], tuple[str, str, str]]
"""By name and process: trace id, span id, and the parent's span id."""


class Collector:
    """A collector of OTLP over HTTP that keeps the spans it gets."""

    def __init__(self) -> None:
        self.spans: Spans = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                key = (span.name, named["service.instance.id"])
                self.spans[key] = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())

    @contextmanager
    def running(self) -> Iterator["Collector"]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    async def got(self, *names: str) -> Spans:
        """Wait for spans of these names, and return all."""
        async with asyncio.timeout(SECONDS):
            while Counter(names) - Counter(name for name, _ in self.spans):
                await asyncio.sleep(0.02)
        return self.spans


async def test_one_trace_leads_from_the_request_to_both_processes(
    tmp_path: Path, mongodb_uri: str, database: str
) -> None:
    with Collector().running() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with (
            TocsinServer(tmp_path, mongodb_uri, database, options=("--traces",), env=env) as first,
            TocsinServer(tmp_path, mongodb_uri, database, env={**env, "TOCSIN_TRACES": "true"}) as second,
        ):
            async with streaming(second.ws_url) as client, first.client() as http:
                headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
                raised = (await http.post("/v1/alarms", json=RAISE, headers=headers)).json()
                await client.until_position(raised["position"])
                found = await collector.got("POST /v1/alarms", "append", "deliver", "deliver")
    spans = {name: span for (name, _), span in found.items()}
    delivered = {where: span for (name, where), span in found.items() if name == "deliver"}
    request, append = spans["POST /v1/alarms"], spans["append"]
    assert (request[0], request[2]) == (TRACE, CALLER)
    assert (append[0], append[2]) == (TRACE, request[1])
    assert len(delivered) == 2
    assert {(trace, parent) for trace, _, parent in delivered.values()} == {(TRACE, request[1])}
