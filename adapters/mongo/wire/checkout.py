"""Takes connections out of PyMongo's pools: the one file that uses PyMongo's private parts.

PyMongo finds the primary, connects, encrypts and authenticates. It hears of every error, so that it looks
for another primary when it must. tests/integration/adapters/mongo/wire/test_checkout.py fails if the parts
change.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, ConfigurationError, ConnectionFailure, OperationFailure

try:
    from pymongo._telemetry import _CommandTelemetry
    from pymongo.helpers_shared import _check_command_response
    from pymongo.server_selectors import writable_server_selector
except ImportError:  # pragma: no cover (another PyMongo)
    HAS_PARTS = False
else:
    HAS_PARTS = all(
        hasattr(MongoClient, name) for name in ("_select_server", "_checkout", "_process_response")
    )

Client = MongoClient[dict[str, Any]]

_REAUTHENTICATION_REQUIRED = 391


def check_fit(client: Client) -> None:
    """Raise ConfigurationError if no connection of this client can be held."""
    if not HAS_PARTS:
        raise ConfigurationError("this PyMongo has other private parts")
    options = client.options
    if options.load_balanced or options.timeout is not None or options.auto_encryption_opts is not None:
        raise ConfigurationError("load balancing, timeoutMS and encrypted fields are left to the driver")


class Checkout:
    """A connection to the primary, taken out of its pool; it counts there until it is given back."""

    def __init__(self, client: Client) -> None:
        """Find the primary and take a connection, a new one if none is free; this may block.

        Raises:
            ConfigurationError: the connection is compressed, or encrypted by another library than Python's.
            PyMongoError: there is no primary, or no connection to it.
        """
        self._client = client
        self._server = client._select_server(writable_server_selector, None, "hold")
        self._taken = client._checkout(self._server, None)
        self._connection = self._taken.__enter__()
        self._used = time.monotonic()
        try:
            self.socket, self.most_bytes = self._checked()
        except BaseException:
            self._taken.__exit__(None, None, None)
            raise

    def _checked(self) -> tuple[socket.socket, int]:
        try:
            wire, compression = self._connection.conn.get_conn, self._connection.compression_context
            most = self._connection.max_message_size
        except AttributeError as error:
            raise ConfigurationError(f"this PyMongo has other private parts: {error}") from error
        if compression is not None or not isinstance(wire, socket.socket):
            raise ConfigurationError("compression and PyOpenSSL are left to the driver")
        return wire, most

    @property
    def current(self) -> bool:
        """Whether the driver would still use it: its server is the primary, its pool was not cleared."""
        connection, longest = self._connection, self._connection.opts.max_idle_time_seconds
        return (
            self._server.description.is_writable
            and not self._server.pool.stale_generation(connection.generation, connection.service_id)
            and (longest is None or time.monotonic() - self._used <= longest)
        )

    def on_interrupt(self, interrupt: Callable[[], None]) -> None:
        """Call `interrupt`, from any thread, when the driver gives up what is under way to this server."""
        context: Any = _Interruption(interrupt)
        with self._server.pool.lock:
            self._server.pool.active_contexts.discard(self._connection.cancel_context)
            self._server.pool.active_contexts.add(context)
            self._connection.cancel_context = context

    def gossip(self) -> dict[str, Any]:
        """Return the cluster time, which the driver sends with every command."""
        fields: dict[str, Any] = {}
        self._client._send_cluster_time(fields, None)
        return fields

    def telemetry(self, command: dict[str, Any], database: str, request_id: int) -> "Telemetry":
        """Tell the driver's listeners and logs of a command that is about to be sent."""
        return Telemetry(self._client, self._connection, command, database, request_id)

    def accept(self, answer: Any) -> None:
        """Note the cluster time of an answer. Raises the driver's error for an answer that is one."""
        self._used = time.monotonic()
        self._client._process_response(answer, None)
        try:
            _check_command_response(answer, self._connection.max_wire_version)
        except OperationFailure as error:
            if error.code == _REAUTHENTICATION_REQUIRED:
                raise AutoReconnect(f"{self.address}: the connection must authenticate anew") from error
            raise

    @property
    def address(self) -> str:
        """The server's host and port."""
        return "{}:{}".format(*self._connection.address)

    def give_back(self, error: BaseException | None) -> None:
        """Close the connection, and let the driver draw its conclusions from the error, if there was one."""
        self._connection.close_conn(None)
        if isinstance(error, ConnectionFailure):
            self._taken.__exit__(type(error), error, error.__traceback__)
        else:
            self._taken.__exit__(None, None, None)


class Telemetry:
    """What the driver's listeners and logs hear of one command."""

    def __init__(
        self, client: Client, connection: Any, command: dict[str, Any], database: str, request_id: int
    ) -> None:
        self._name = next(iter(command))
        self._command = _CommandTelemetry(
            client._topology_id, connection, connection.listeners, command, database, request_id, None
        )
        self._command.started(command, ensure_db=False)

    def succeeded(self, answer: Any) -> None:
        """Tell of the answer."""
        self._command.succeeded(answer, self._name, speculative_hello=False)

    def failed(self, error: BaseException) -> None:
        """Tell of an error, or of an outcome that stays unknown."""
        refused = isinstance(error, OperationFailure)
        details: Any = error.details if isinstance(error, OperationFailure) else None
        self._command.failed(details or {"errmsg": str(error)}, self._name, is_server_side_error=refused)


class _Interruption:
    """Stands in a connection for what the driver looks at every half second; it tells at once."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self.cancelled = False

    def cancel(self) -> None:
        """End what is under way on the connection."""
        self.cancelled = True
        self._interrupt()
