"""The settings: each is declared here, once; command line, variables and the table in the docs follow."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from adapters.mongo.embedded.mongod import remembered_uri
from core.delivery.limits import MESSAGES_PER_SECOND, SESSIONS, STALL_SECONDS, Limits
from core.delivery.protocol import CLIENT_BYTES, SUBSCRIPTIONS
from core.errors import StartupRefused
from core.lists.filter import FILTER_VALUES
from entrypoints.process.declaration import Command, setting

FeedChoice = Literal["auto", "changestream", "local", "redis"]
"""Which doorbell to use; auto: changestream on a replica set, local on a standalone mongod."""
Role = Literal["all", "api", "worker"]
"""What a process does: serve clients, run the worker tasks under their leases, or both."""
LogFormat = Literal["auto", "console", "json"]
"""auto: console on a terminal, JSON elsewhere."""
LogLevel = Literal["debug", "info", "warning", "error"]

DATA = Path(".tocsin")
DEFAULT_URI = "mongodb://127.0.0.1:27017"

READERS: tuple[Command, ...] = ("serve", "worker", "tail", "whatif", "verify", "replay", "log", "outbox")
BELLS: tuple[Command, ...] = ("serve", "worker", "tail", "log reset-identity", "outbox retry")
"""The commands that hear of what happens in other processes, or have to be heard there."""
SERVE: tuple[Command, ...] = ("serve",)
SERVERS: tuple[Command, ...] = ("serve", "worker", "up")

DATABASE = "Database and feed"
ACCESS = "Who gets in"
WEBHOOKS = "Webhooks and integrations"
LIMITS = "Limits"
PROCESSES = "Processes and logs"


def _default_uri() -> str:
    return remembered_uri(DATA) or DEFAULT_URI


def _listed(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def _origins(text: str) -> tuple[str, ...]:
    return tuple(origin.rstrip("/") for origin in _listed(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting there is; a command takes those that name it, and leaves the others at their defaults."""

    log_format: LogFormat = setting(
        "auto: for people on a terminal, JSON elsewhere.", default="auto", of=("tocsin",)
    )
    log_level: LogLevel = setting("The least that is logged.", default="info", of=("tocsin",))
    mongodb_uri: str = setting(
        "Where MongoDB is.",
        default=DEFAULT_URI,
        of=READERS,
        panel=DATABASE,
        computed=_default_uri,
        shown=f"that of `tocsin up` in this folder, else {DEFAULT_URI}",
    )
    database: str = setting("The database to use.", default="tocsin", of=READERS, panel=DATABASE)
    host: str = setting("The address to listen on.", default="127.0.0.1", of=SERVERS)
    port: int = setting(
        "The port to listen on.", default=8080, of=SERVERS, least=1, most=65535, differing={"worker": 8081}
    )
    allowed_origins: tuple[str, ...] = setting(
        "Web origins that may open a WebSocket, separated by commas; the server's own always may.",
        default=(),
        of=("serve", "up"),
        panel=ACCESS,
        parse=_origins,
    )
    feed: FeedChoice = setting(
        "How processes hear of events; auto: what the MongoDB server offers.",
        default="auto",
        of=BELLS,
        panel=DATABASE,
    )
    redis_url: str | None = setting(
        "Where Redis is, for the feed redis.", default=None, of=BELLS, panel=DATABASE
    )
    auth_secret: str | None = setting(
        "The secret that tokens are signed with (HS256), 32 bytes or more; better set as the variable.",
        default=None,
        of=(*SERVERS, "token"),
        panel=ACCESS,
        secret=True,
    )
    auth_jwks: Path | None = setting(
        "A JWKS file with the public keys of tokens (RS256, ES256).", default=None, of=SERVERS, panel=ACCESS
    )
    command_rate: float = setting(
        "Commands a second that each tenant may give this process, beyond bursts; 0: any number.",
        default=0.0,
        of=SERVE,
        least=0,
    )
    pagerduty_keys: str = setting(
        "Routing keys of /v2/enqueue and their tenants: key=tenant,... or a file of such lines.",
        default="",
        of=SERVE,
        panel=WEBHOOKS,
    )
    webhook_allow: tuple[str, ...] = setting(
        "Networks and hosts beyond the public Internet that webhooks may call, separated by commas.",
        default=(),
        of=SERVERS,
        panel=WEBHOOKS,
        parse=_listed,
    )
    webhooks_file: Path | None = setting(
        "A file of webhooks, JSON or TOML, read at start-up.", default=None, of=SERVERS, panel=WEBHOOKS
    )
    max_sessions: int = setting(
        "How many streams one process serves at once.", default=SESSIONS, of=SERVE, panel=LIMITS, least=1
    )
    max_subscriptions: int = setting(
        "How many subscriptions one has.", default=SUBSCRIPTIONS, of=SERVE, panel=LIMITS, least=1, most=1_000
    )
    max_filter_values: int = setting(
        "How many sources, types or alarm ids one filter can name.",
        default=FILTER_VALUES,
        of=SERVE,
        panel=LIMITS,
        least=1,
        most=1_000,
    )
    max_message_bytes: int = setting(
        "The largest message taken from a WebSocket's client.",
        default=CLIENT_BYTES,
        of=SERVE,
        panel=LIMITS,
        least=1_024,
        most=1024 * 1024,
    )
    max_messages_per_second: float = setting(
        "How many messages a second one client may send for long.",
        default=MESSAGES_PER_SECOND,
        of=SERVE,
        panel=LIMITS,
        least=0.1,
    )
    stall_seconds: float = setting(
        "How long a client may take nothing of what it is sent.",
        default=STALL_SECONDS,
        of=SERVE,
        panel=LIMITS,
        least=0.1,
    )
    ping_seconds: float = setting(
        "How often a WebSocket is pinged, and how long its client may take to answer.",
        default=20.0,
        of=SERVE,
        panel=LIMITS,
        least=0.1,
    )
    drain_seconds: float = setting(
        "How long an ending process takes to send its clients away.",
        default=5.0,
        of=SERVE,
        panel=LIMITS,
        least=0.1,
    )
    log_requests: bool = setting(
        "Log a line for each request: method, path, status, ms, subject.",
        default=False,
        of=("serve", "worker"),
        panel=PROCESSES,
    )
    processes: int = setting(
        "How many server processes to run here.", default=1, of=SERVE, panel=PROCESSES, least=1, most=64
    )
    own_ports: bool = setting(
        "With --processes: each on a port of its own, --port and those after it; else all on one.",
        default=False,
        of=SERVE,
        panel=PROCESSES,
    )
    shared_port: bool = setting(
        "Let other processes listen on the port as well.", default=False, of=SERVE, panel=PROCESSES
    )
    role: Role = setting(
        "all: serve and work; api: leave projections, deadlines and webhooks to others; worker: these.",
        default="all",
        of=SERVE,
        panel=PROCESSES,
    )
    traces: bool = setting(
        "Send OpenTelemetry traces to OTEL_EXPORTER_OTLP_ENDPOINT; needs the extra otel.",
        default=False,
        of=SERVE,
        panel=PROCESSES,
        switch=True,
    )
    data: Path = setting("The folder that keeps the data.", default=DATA, of=("up",))
    mongod: str | None = setting(
        "The mongod to run; default: the one that is found.", default=None, of=("up",)
    )
    demo: bool = setting(
        "Simulate a plant: alarms flood, chatter and clear.", default=False, of=("up",), switch=True
    )
    token: str | None = setting("Who you are, for --url.", default=None, of=("tail",), secret=True)

    @property
    def limits(self) -> Limits:
        """What the process takes from its clients."""
        return Limits(
            sessions=self.max_sessions,
            subscriptions=self.max_subscriptions,
            filter_values=self.max_filter_values,
            message_bytes=self.max_message_bytes,
            messages_per_second=self.max_messages_per_second,
            stall_seconds=self.stall_seconds,
        )

    @property
    def authenticated(self) -> bool:
        """Whether callers have to prove who they are."""
        return self.auth_secret is not None or self.auth_jwks is not None

    def check(self) -> None:
        """Raise StartupRefused where the settings would be unsafe."""
        if not is_loopback(self.host) and not self.authenticated:
            raise StartupRefused(
                f"refusing to listen on {self.host} without authentication: anybody there could command the"
                " alarms; listen on 127.0.0.1, or set TOCSIN_AUTH_SECRET or TOCSIN_AUTH_JWKS"
            )
        if self.auth_secret is not None and self.auth_jwks is not None:
            raise StartupRefused(
                "set TOCSIN_AUTH_SECRET or TOCSIN_AUTH_JWKS, not both: one issuer is trusted"
            )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
