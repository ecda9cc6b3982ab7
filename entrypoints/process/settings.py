"""All settings, each declared once; command line, variables and the table in the docs are derived."""

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from adapters.mongo.embedded.mongod import remembered_uri
from core.delivery.limits import (
    MESSAGES_PER_SECOND,
    SESSIONS,
    STALL_SECONDS,
    SUBJECT_SESSIONS,
    TENANT_SESSIONS,
    Limits,
)
from core.delivery.protocol import CLIENT_BYTES, SUBSCRIPTIONS
from core.errors import StartupRefused
from core.lists.filter import FILTER_VALUES
from core.outbox.ports import PENDING_DAYS
from entrypoints.http.loopback import is_any_address, is_loopback
from entrypoints.process.setting_declaration import Command, setting

FeedChoice = Literal["auto", "changestream", "local", "redis"]
"""Which doorbell to use; auto: changestream on a replica set, local on a standalone mongod."""
ProcessRole = Literal["all", "api", "worker"]
"""all: serve clients and run the worker tasks under their leases; api: only serve; worker: only run tasks."""
LogFormat = Literal["auto", "console", "json"]
"""auto: console on a terminal, JSON elsewhere."""
LogLevel = Literal["debug", "info", "warning", "error"]

DATA = Path(".tocsin")
LOOPBACK = ("127.0.0.1", "::1")
DEFAULT_URI = "mongodb://127.0.0.1:27017"

ON_DATABASE: tuple[Command, ...] = ("serve", "worker", "tail", "whatif", "verify", "replay", "log", "outbox")
BELLS: tuple[Command, ...] = ("serve", "worker", "tail", "log reset-identity", "outbox retry")
"""The commands that hear from other processes, or must be heard by them."""
SERVE: tuple[Command, ...] = ("serve",)
SERVERS: tuple[Command, ...] = ("serve", "worker", "up")

DATABASE = "Database and feed"
ACCESS = "Access"
WEBHOOKS = "Webhooks and integrations"
LIMITS = "Limits"
PROCESSES = "Processes and logs"


def _default_uri() -> str:
    return remembered_uri(DATA) or DEFAULT_URI


def _listed(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def _origins(text: str) -> tuple[str, ...]:
    return tuple(origin.rstrip("/") for origin in _listed(text))


def _proxies(text: str) -> tuple[str, ...]:
    return () if text.strip() == "none" else _listed(text) or LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting; a command takes those that name it, and leaves the others at their defaults."""

    log_format: LogFormat = setting(
        "auto: readable lines on a terminal, JSON elsewhere.", default="auto", of=("tocsin",)
    )
    log_level: LogLevel = setting("The lowest level that is logged.", default="info", of=("tocsin",))
    mongodb_uri: str = setting(
        "The address of MongoDB.",
        default=DEFAULT_URI,
        of=ON_DATABASE,
        panel=DATABASE,
        computed=_default_uri,
        shown=f"that of `tocsin up` in this folder, else {DEFAULT_URI}",
    )
    database: str = setting("The database to use.", default="tocsin", of=ON_DATABASE, panel=DATABASE)
    host: str = setting("The address to listen on.", default="127.0.0.1", of=SERVERS)
    port: int = setting(
        "The port to listen on.", default=8080, of=SERVERS, least=1, most=65535, differing={"worker": 8081}
    )
    allowed_origins: tuple[str, ...] = setting(
        "Web origins besides the server's own that may connect and change things, separated by commas.",
        default=(),
        of=("serve", "up"),
        panel=ACCESS,
        parse=_origins,
    )
    trusted_proxies: tuple[str, ...] = setting(
        "Addresses and networks of proxies whose X-Forwarded-For is believed, separated by commas; or: none.",
        default=LOOPBACK,
        of=SERVERS,
        panel=ACCESS,
        parse=_proxies,
        shown=",".join(LOOPBACK),
    )
    feed: FeedChoice = setting(
        "How processes hear of events; auto: changestream on a replica set, else local.",
        default="auto",
        of=BELLS,
        panel=DATABASE,
    )
    redis_url: str | None = setting(
        "The address of Redis, for --feed redis.", default=None, of=BELLS, panel=DATABASE
    )
    auth_secret: str | None = setting(
        "The secret that signs tokens (HS256), 32 bytes or more; prefer the variable to the flag.",
        default=None,
        of=(*SERVERS, "token"),
        panel=ACCESS,
        secret=True,
    )
    auth_jwks: str | None = setting(
        "The public keys that verify tokens (RS256, ES256): a JWKS file, or its https address at the issuer.",
        default=None,
        of=SERVERS,
        panel=ACCESS,
    )
    auth_issuer: str = setting(
        "The issuer whose tokens count (iss); empty: any.", default="", of=(*SERVERS, "token"), panel=ACCESS
    )
    auth_audience: str = setting(
        "The audience that tokens must be for (aud); needed with --auth-jwks. Empty: any.",
        default="",
        of=(*SERVERS, "token"),
        panel=ACCESS,
    )
    command_rate: float = setting(
        "Commands a second that each tenant may give this process, bursts aside; 0: no limit.",
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
    outbox_days: float = setting(
        "How many days what a webhook is to get may wait before it is given up.",
        default=PENDING_DAYS,
        of=SERVERS,
        panel=WEBHOOKS,
        least=0.01,
        most=3_650,
    )
    webhooks_file: Path | None = setting(
        "A file of webhooks, JSON or TOML, read at start-up.", default=None, of=SERVERS, panel=WEBHOOKS
    )
    max_sessions: int = setting(
        "The most streams that one process serves at once.", default=SESSIONS, of=SERVE, panel=LIMITS, least=1
    )
    max_tenant_sessions: int = setting(
        "The most of them that one tenant has; without authentication there is no such limit.",
        default=TENANT_SESSIONS,
        of=SERVE,
        panel=LIMITS,
        least=1,
    )
    max_subject_sessions: int = setting(
        "The most of them that one subject has; without authentication there is no such limit.",
        default=SUBJECT_SESSIONS,
        of=SERVE,
        panel=LIMITS,
        least=1,
    )
    max_subscriptions: int = setting(
        "The most subscriptions of one stream.",
        default=SUBSCRIPTIONS,
        of=SERVE,
        panel=LIMITS,
        least=1,
        most=1_000,
    )
    max_filter_values: int = setting(
        "The most sources, types or alarm ids that one filter can name.",
        default=FILTER_VALUES,
        of=SERVE,
        panel=LIMITS,
        least=1,
        most=1_000,
    )
    max_message_bytes: int = setting(
        "The largest message that a WebSocket's client may send.",
        default=CLIENT_BYTES,
        of=SERVE,
        panel=LIMITS,
        least=1_024,
        most=1024 * 1024,
    )
    max_messages_per_second: float = setting(
        "The most messages a second that one client may send, bursts aside.",
        default=MESSAGES_PER_SECOND,
        of=SERVE,
        panel=LIMITS,
        least=0.1,
    )
    stall_seconds: float = setting(
        "How long a client may read nothing before the server ends its stream.",
        default=STALL_SECONDS,
        of=SERVE,
        panel=LIMITS,
        least=0.1,
    )
    ping_seconds: float = setting(
        "The time between pings of a WebSocket, and the most its client may take to answer one.",
        default=20.0,
        of=SERVE,
        panel=LIMITS,
        least=0.1,
    )
    drain_seconds: float = setting(
        "How long an ending process takes to disconnect its clients.",
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
        "With --processes: give each its own port, --port and those after it; else they share one.",
        default=False,
        of=SERVE,
        panel=PROCESSES,
    )
    shared_port: bool = setting(
        "Let other processes listen on the port as well.", default=False, of=SERVE, panel=PROCESSES
    )
    peer_host: str = setting(
        "Where this process listens for the others of its log, and where they reach it.",
        default="127.0.0.1",
        of=SERVERS,
        panel=PROCESSES,
    )
    peer_port: int = setting(
        "The port there; 0: any. With --processes this one and those after it.",
        default=0,
        of=SERVERS,
        panel=PROCESSES,
        least=0,
        most=65_535,
    )
    role: ProcessRole = setting(
        "all: serve, and run projections, deadlines and webhooks; api: only serve; worker: only run these.",
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
    data: Path = setting("The folder for the data.", default=DATA, of=("up",))
    mongod: str | None = setting(
        "The mongod to run; default: the one on PATH, or else the embedded one.", default=None, of=("up",)
    )
    demo: bool = setting(
        "Simulate a plant: alarms flood, chatter and clear.", default=False, of=("up",), switch=True
    )
    token: str | None = setting("The token to send to --url.", default=None, of=("tail",), secret=True)

    @property
    def limits(self) -> Limits:
        """The limits of the process's sessions."""
        return Limits(
            sessions=self.max_sessions,
            tenant_sessions=self.max_tenant_sessions,
            subject_sessions=self.max_subject_sessions,
            subscriptions=self.max_subscriptions,
            filter_values=self.max_filter_values,
            message_bytes=self.max_message_bytes,
            messages_per_second=self.max_messages_per_second,
            stall_seconds=self.stall_seconds,
        )

    @property
    def authenticated(self) -> bool:
        """Whether callers must authenticate."""
        return self.auth_secret is not None or self.auth_jwks is not None

    def check(self) -> None:
        """Raise StartupRefused if the settings are unsafe or contradict each other."""
        if not is_loopback(self.host) and not self.authenticated:
            raise StartupRefused(
                f"refusing to listen on {self.host} without authentication: anybody there could command the"
                " alarms; listen on 127.0.0.1, or set TOCSIN_AUTH_SECRET or TOCSIN_AUTH_JWKS"
            )
        for proxy in self.trusted_proxies:
            _check_network(proxy)
        if is_any_address(self.peer_host):
            raise StartupRefused(
                f"TOCSIN_PEER_HOST is where the other processes reach this one, which nobody can at"
                f" {self.peer_host!r}: name an address or a host of this machine"
            )
        if self.auth_secret is not None and self.auth_jwks is not None:
            raise StartupRefused(
                "set TOCSIN_AUTH_SECRET or TOCSIN_AUTH_JWKS, not both: one issuer is trusted"
            )
        if self.auth_jwks is not None and not self.auth_audience:
            raise StartupRefused(
                "TOCSIN_AUTH_JWKS needs TOCSIN_AUTH_AUDIENCE: the issuer's tokens for other applications"
                " would get in"
            )


def _check_network(proxy: str) -> None:
    """Raise StartupRefused if it is neither an address nor a network."""
    try:
        ip_network(proxy)
    except ValueError as error:
        raise StartupRefused(f"TOCSIN_TRUSTED_PROXIES: {error}") from None
