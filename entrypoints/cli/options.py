"""The options that several commands share, each an environment variable and a flag."""

from pathlib import Path
from typing import Annotated

import typer

from adapters.mongo.embedded.mongod import remembered_uri
from entrypoints.cli.logs import LogFormat, LogLevel
from entrypoints.cli.supervisor import PROCESSES
from entrypoints.process.settings import FeedChoice, Role

DEFAULT_URI = "mongodb://127.0.0.1:27017"
DEFAULT_DATA = Path(".tocsin")
TIMES = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
"""How a time may be given; all are UTC."""


def _default_uri() -> str:
    return remembered_uri(DEFAULT_DATA) or DEFAULT_URI


MongodbUri = Annotated[
    str,
    typer.Option(
        rich_help_panel="Database and feed",
        envvar="TOCSIN_MONGODB_URI",
        help="Where MongoDB is.",
        default_factory=_default_uri,
        show_default=f"that of `tocsin up` in this folder, else {DEFAULT_URI}",
    ),
]
DatabaseName = Annotated[
    str,
    typer.Option(rich_help_panel="Database and feed", envvar="TOCSIN_DATABASE", help="The database to use."),
]
Host = Annotated[str, typer.Option(envvar="TOCSIN_HOST", help="The address to listen on.")]
Port = Annotated[int, typer.Option(envvar="TOCSIN_PORT", help="The port to listen on.", min=1, max=65535)]
Origins = Annotated[
    str,
    typer.Option(
        rich_help_panel="Who gets in",
        envvar="TOCSIN_ALLOWED_ORIGINS",
        help="Web origins that may open a WebSocket, separated by commas; the server's own always may.",
    ),
]
Feed = Annotated[
    FeedChoice,
    typer.Option(
        rich_help_panel="Database and feed",
        envvar="TOCSIN_FEED",
        help="How processes hear of events; auto: what the MongoDB server offers.",
    ),
]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        rich_help_panel="Database and feed",
        envvar="TOCSIN_REDIS_URL",
        help="Where Redis is, for the feed redis.",
    ),
]
AuthSecret = Annotated[
    str | None,
    typer.Option(
        rich_help_panel="Who gets in",
        envvar="TOCSIN_AUTH_SECRET",
        help="The secret that tokens are signed with (HS256), 32 bytes or more; better set as the variable.",
        show_default=False,
    ),
]
AuthJwks = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel="Who gets in",
        envvar="TOCSIN_AUTH_JWKS",
        help="A JWKS file with the public keys of tokens (RS256, ES256).",
    ),
]
CommandRate = Annotated[
    float,
    typer.Option(
        envvar="TOCSIN_COMMAND_RATE",
        help="Commands a second that each tenant may give this process, beyond bursts; 0: any number.",
        min=0,
    ),
]
PagerdutyKeys = Annotated[
    str,
    typer.Option(
        rich_help_panel="Webhooks and integrations",
        envvar="TOCSIN_PAGERDUTY_KEYS",
        help="Routing keys of /v2/enqueue and their tenants: key=tenant,... or a file of such lines.",
    ),
]
WebhookAllow = Annotated[
    str,
    typer.Option(
        rich_help_panel="Webhooks and integrations",
        envvar="TOCSIN_WEBHOOK_ALLOW",
        help="Networks and hosts beyond the public Internet that webhooks may call, separated by commas.",
    ),
]
WebhooksFile = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel="Webhooks and integrations",
        envvar="TOCSIN_WEBHOOKS_FILE",
        help="A file of webhooks, JSON or TOML, read at start-up.",
    ),
]
Processes = Annotated[
    int,
    typer.Option(
        rich_help_panel="Processes and logs",
        envvar="TOCSIN_PROCESSES",
        help="How many server processes to run here.",
        min=1,
        max=PROCESSES,
    ),
]
OwnPorts = Annotated[
    bool,
    typer.Option(
        rich_help_panel="Processes and logs",
        envvar="TOCSIN_OWN_PORTS",
        help="With --processes: each on a port of its own, --port and those after it; else all on one.",
    ),
]
SharedPort = Annotated[
    bool,
    typer.Option(
        rich_help_panel="Processes and logs",
        envvar="TOCSIN_SHARED_PORT",
        help="Let other processes listen on the port as well.",
    ),
]
LogRequests = Annotated[
    bool,
    typer.Option(
        rich_help_panel="Processes and logs",
        envvar="TOCSIN_LOG_REQUESTS",
        help="Log a line for each request: method, path, status, ms, subject.",
    ),
]
RoleOption = Annotated[
    Role,
    typer.Option(
        rich_help_panel="Processes and logs",
        envvar="TOCSIN_ROLE",
        help="all: serve and work; api: leave projections, deadlines and webhooks to others; worker: these.",
    ),
]
TracesOption = Annotated[
    bool,
    typer.Option(
        "--traces",
        rich_help_panel="Processes and logs",
        envvar="TOCSIN_TRACES",
        help="Send OpenTelemetry traces to OTEL_EXPORTER_OTLP_ENDPOINT; needs the extra otel.",
    ),
]
LogFormatOption = Annotated[
    LogFormat,
    typer.Option(envvar="TOCSIN_LOG_FORMAT", help="auto: for people on a terminal, JSON elsewhere."),
]
LogLevelOption = Annotated[
    LogLevel, typer.Option(envvar="TOCSIN_LOG_LEVEL", help="The least that is logged.")
]
Tenant = Annotated[str, typer.Option(help="Whose.")]
OfWebhook = Annotated[str | None, typer.Option("--webhook", help="Only those of this webhook.")]
Data = Annotated[Path, typer.Option(envvar="TOCSIN_DATA", help="The folder that keeps the data.")]
Mongod = Annotated[
    str | None,
    typer.Option(envvar="TOCSIN_MONGOD", help="The mongod to run; default: the one that is found."),
]
