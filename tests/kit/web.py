"""Tiny HTTP servers of the tests, in threads: a webhook that keeps what it gets, an exporter, and files."""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.kit.ports import free_port
from tests.kit.waiting import wait_until

TYPES = {".html": "text/html", ".js": "text/javascript"}


class _Served:
    """An HTTP server that runs inside `with`."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.port = free_port()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it is, with any path."""
        return f"http://{self.address}/"


class Webhook(_Served):
    """Keeps the JSON bodies that are posted to it, and answers `status` (200, until a test sets another)."""

    def __init__(self) -> None:
        """Listen; the answers begin with `with`."""
        self.bodies: list[Any] = []
        self.status = HTTPStatus.OK
        webhook = self

        class Handler(_Quiet):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                webhook.bodies.append(json.loads(self.rfile.read(size)))
                self.answer(webhook.status, b"")

        super().__init__(Handler)

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Any]:
        """Wait until there are so many bodies, and return them."""
        wait_until(f"{count} bodies", lambda: len(self.bodies) >= count, seconds)
        return self.bodies[:count]


class Exporter(_Served):
    """Serves one gauge to Prometheus, whose `value` the test sets."""

    def __init__(self, name: str = "kit_gauge", value: float = 0) -> None:
        """Listen; the answers begin with `with`."""
        self.name = name
        self.value = value
        exporter = self

        class Handler(_Quiet):
            def do_GET(self) -> None:
                text = f"# TYPE {exporter.name} gauge\n{exporter.name} {exporter.value}\n"
                self.answer(HTTPStatus.OK, text.encode())

        super().__init__(Handler)


class Files(_Served):
    """Serves files by their names, as a page's host does."""

    def __init__(self, *files: Path) -> None:
        """Listen; the answers begin with `with`."""
        by_path = {f"/{file.name}": file for file in files}

        class Handler(_Quiet):
            def do_GET(self) -> None:
                file = by_path.get(urlsplit(self.path).path)
                if file is None:
                    self.answer(HTTPStatus.NOT_FOUND, b"")
                else:
                    self.answer(HTTPStatus.OK, file.read_bytes(), TYPES[file.suffix])

        super().__init__(Handler)


class _Quiet(BaseHTTPRequestHandler):
    """Answers without a word on stderr."""

    def answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; version=0.0.4") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""
