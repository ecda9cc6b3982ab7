"""The command line: `tocsin up | serve | worker | replay | whatif | verify | tail | token | log | outbox`."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from core.delivery.limits import MESSAGES_PER_SECOND, SESSIONS, STALL_SECONDS, Limits
from core.delivery.protocol import CLIENT_BYTES, SUBSCRIPTIONS
from core.errors import TocsinError
from core.kpi.rules import Rules
from core.lists.filter import FILTER_VALUES
from core.outbox.ports import OutboxQuery
from core.outbox.row import RowState
from core.roles import ROLES
from entrypoints.cli.limits import (
    DrainSeconds,
    MaxFilterValues,
    MaxMessageBytes,
    MaxMessagesPerSecond,
    MaxSessions,
    MaxSubscriptions,
    PingSeconds,
    StallSeconds,
)
from entrypoints.cli.log import reset_identity, show_log
from entrypoints.cli.logs import configure_logs
from entrypoints.cli.options import (
    DEFAULT_DATA,
    TIMES,
    AuthJwks,
    AuthSecret,
    CommandRate,
    Data,
    DatabaseName,
    Feed,
    Host,
    LogFormatOption,
    LogLevelOption,
    LogRequests,
    Mongod,
    MongodbUri,
    OfWebhook,
    Origins,
    OwnPorts,
    PagerdutyKeys,
    Port,
    Processes,
    RedisUrl,
    RoleOption,
    SharedPort,
    Tenant,
    TracesOption,
    WebhookAllow,
    WebhooksFile,
)
from entrypoints.cli.outbox import UNDELIVERED, list_rows, retry_rows
from entrypoints.cli.replay import check_list, replay_figures, replay_list, verify_log
from entrypoints.cli.supervisor import Supervisor
from entrypoints.cli.tail import follow, follow_server
from entrypoints.cli.token import minted
from entrypoints.cli.up import run_up
from entrypoints.cli.whatif import severities_of, show_whatif
from entrypoints.process.server import run_server
from entrypoints.process.settings import DRAIN_SECONDS, PING_SECONDS, FeedChoice, Settings

T = TypeVar("T")
TokenRole = StrEnum("TokenRole", sorted(ROLES))  # type: ignore[misc]

REFUSED = 2
"""The exit code of a process that must not start, or of a command that could not be carried out."""

app = typer.Typer(
    name="tocsin",
    help="An event-sourced alarm backend: every operator sees every event, in one order, on any process.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
replay_app = typer.Typer(help="Rebuild a read model from the log of events.", no_args_is_help=True)
app.add_typer(replay_app, name="replay")
log_app = typer.Typer(help="What the log of events is.", no_args_is_help=True)
app.add_typer(log_app, name="log")
outbox_app = typer.Typer(help="What is to be sent to webhooks.", no_args_is_help=True)
app.add_typer(outbox_app, name="outbox")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

EXAMPLES = """Examples:

  tocsin up --demo
      a MongoDB, a server and a simulated plant: to look at

  tocsin tail --url ws://127.0.0.1:8080/v1/stream
      follow what happens, through a server

  tocsin serve --mongodb-uri 'mongodb://db1,db2,db3/?replicaSet=rs0' --processes 4
      four server processes on your MongoDB

  tocsin token --sub ann --role operator --ttl 8h
      a token to try it with

Each option is also a variable, named in brackets. Shell completion: tocsin --install-completion
"""


@app.callback(epilog=EXAMPLES)
def common(log_format: LogFormatOption = "auto", log_level: LogLevelOption = "info") -> None:
    """An event-sourced alarm backend: every operator sees every event, in one order, on any process."""
    configure_logs(log_format, log_level)


@app.command()
def serve(
    *,
    mongodb_uri: MongodbUri,
    database: DatabaseName = "tocsin",
    host: Host = "127.0.0.1",
    port: Port = 8080,
    allowed_origins: Origins = "",
    feed: Feed = "auto",
    redis_url: RedisUrl = None,
    auth_secret: AuthSecret = None,
    auth_jwks: AuthJwks = None,
    command_rate: CommandRate = 0.0,
    pagerduty_keys: PagerdutyKeys = "",
    webhook_allow: WebhookAllow = "",
    webhooks_file: WebhooksFile = None,
    max_sessions: MaxSessions = SESSIONS,
    max_subscriptions: MaxSubscriptions = SUBSCRIPTIONS,
    max_filter_values: MaxFilterValues = FILTER_VALUES,
    max_message_bytes: MaxMessageBytes = CLIENT_BYTES,
    max_messages_per_second: MaxMessagesPerSecond = MESSAGES_PER_SECOND,
    stall_seconds: StallSeconds = STALL_SECONDS,
    ping_seconds: PingSeconds = PING_SECONDS,
    drain_seconds: DrainSeconds = DRAIN_SECONDS,
    log_requests: LogRequests = False,
    processes: Processes = 1,
    own_ports: OwnPorts = False,
    shared_port: SharedPort = False,
    role: RoleOption = "all",
    traces: TracesOption = False,
) -> None:
    """Run a server on a MongoDB that is there already, as one process or several."""
    if processes > 1:
        raise typer.Exit(_run(Supervisor(_children(processes, port, own=own_ports), drain_seconds).run()))
    limits = Limits(
        sessions=max_sessions,
        subscriptions=max_subscriptions,
        filter_values=max_filter_values,
        message_bytes=max_message_bytes,
        messages_per_second=max_messages_per_second,
        stall_seconds=stall_seconds,
    )
    settings = replace(
        _settings(mongodb_uri, database, host, port, allowed_origins, feed=feed, redis_url=redis_url),
        auth_secret=auth_secret,
        auth_jwks=auth_jwks,
        command_rate=command_rate,
        pagerduty_keys=pagerduty_keys,
        limits=limits,
        ping_seconds=ping_seconds,
        drain_seconds=drain_seconds,
        log_requests=log_requests,
        shared_port=shared_port,
        role=role,
        traces=traces,
    )
    settings = _with_webhooks(settings, webhook_allow, webhooks_file)
    _run(run_server(settings, lambda url: out.print(f"Tocsin is at {url}")))


@app.command()
def worker(
    *,
    mongodb_uri: MongodbUri,
    database: DatabaseName = "tocsin",
    host: Host = "127.0.0.1",
    port: Port = 8081,
    feed: Feed = "auto",
    redis_url: RedisUrl = None,
    auth_secret: AuthSecret = None,
    auth_jwks: AuthJwks = None,
    webhook_allow: WebhookAllow = "",
    webhooks_file: WebhooksFile = None,
    log_requests: LogRequests = False,
) -> None:
    """Run a process that only works: projections, deadlines, webhooks. Its port has health and metrics."""
    settings = replace(
        _settings(mongodb_uri, database, host, port, "", feed=feed, redis_url=redis_url),
        auth_secret=auth_secret,
        auth_jwks=auth_jwks,
        log_requests=log_requests,
        role="worker",
    )
    settings = _with_webhooks(settings, webhook_allow, webhooks_file)
    _run(run_server(settings, lambda url: out.print(f"The worker's health is at {url}/readyz")))


@app.command()
def up(
    *,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    allowed_origins: Origins = "",
    data: Data = DEFAULT_DATA,
    mongod: Mongod = None,
    auth_secret: AuthSecret = None,
    auth_jwks: AuthJwks = None,
    webhook_allow: WebhookAllow = "",
    webhooks_file: WebhooksFile = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", envvar="TOCSIN_DEMO", help="Simulate a plant: alarms flood, chatter and clear."
        ),
    ] = False,
) -> None:
    """Run MongoDB and one server process together, the data kept in a folder: for trying it out."""
    settings = replace(
        _settings("", "tocsin", host, port, allowed_origins), auth_secret=auth_secret, auth_jwks=auth_jwks
    )
    settings = _with_webhooks(settings, webhook_allow, webhooks_file)
    _run(run_up(settings, data, mongod, out, demo=demo))


@app.command()
def tail(
    *,
    mongodb_uri: MongodbUri,
    database: DatabaseName = "tocsin",
    after: Annotated[
        int | None, typer.Option(help="Start behind this position; default: now.", min=0)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
    feed: Feed = "auto",
    redis_url: RedisUrl = None,
    url: Annotated[
        list[str] | None,
        typer.Option(help="Follow through a server, ws://HOST:PORT/v1/stream; several: whichever is there."),
    ] = None,
    token: Annotated[str | None, typer.Option(envvar="TOCSIN_TOKEN", help="Who you are, for --url.")] = None,
) -> None:
    """Follow the log of events, from MongoDB or through a server."""
    if url:
        _run(follow_server(url, token, after, out, as_json=json))
        return
    settings = Settings(mongodb_uri=mongodb_uri, database=database, feed=feed, redis_url=redis_url)
    _run(follow(settings, after, out, as_json=json))


@replay_app.command("alarms")
def replay_alarms(
    mongodb_uri: MongodbUri,
    database: DatabaseName = "tocsin",
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; print the rows that differ.")
    ] = False,
    newest: Annotated[
        bool,
        typer.Option(
            "--newest",
            help="Trust the newest snapshot of each alarm, rather than fold all its events: much faster.",
        ),
    ] = False,
) -> None:
    """Rebuild the alarm list from the log, beside the live one, and swap it in."""
    if check and newest:
        raise typer.BadParameter("--check folds all events; it does not go with --newest")
    _finish(
        check_list(mongodb_uri, database, out)
        if check
        else replay_list(mongodb_uri, database, out, newest=newest)
    )


@replay_app.command("kpis")
def replay_kpis(mongodb_uri: MongodbUri, database: DatabaseName = "tocsin") -> None:
    """Count the key figures anew from the log, beside those that are shown, and swap them in."""
    _finish(replay_figures(mongodb_uri, database, out))


@app.command()
def whatif(
    *,
    mongodb_uri: MongodbUri,
    database: DatabaseName = "tocsin",
    since: Annotated[
        datetime | None, typer.Option("--from", formats=TIMES, help="UTC; default: a day before --to.")
    ] = None,
    to: Annotated[datetime | None, typer.Option(formats=TIMES, help="UTC; default: now.")] = None,
    on_delay: Annotated[
        float, typer.Option(min=0, help="Seconds that a condition must hold to be annunciated.")
    ] = 0.0,
    off_delay: Annotated[
        float, typer.Option(min=0, help="Seconds within which one that comes back has not been away.")
    ] = 0.0,
    deadband: Annotated[
        float, typer.Option(min=0, help="Seconds within which an alarm is not annunciated again.")
    ] = 0.0,
    shelve: Annotated[
        list[str] | None, typer.Option(help="A source that calls nobody, or PREFIX/*; may be repeated.")
    ] = None,
    severity: Annotated[
        list[str] | None, typer.Option(help="TYPE=SEVERITY for a type of alarm; may be repeated.")
    ] = None,
    tenant: Tenant = "default",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a period's key figures would have been under other rules. Nothing is written."""
    until = to.replace(tzinfo=UTC) if to is not None else datetime.now(UTC)
    begin = since.replace(tzinfo=UTC) if since is not None else until - timedelta(days=1)
    try:
        rules = Rules(
            on_delay=on_delay,
            off_delay=off_delay,
            deadband=deadband,
            shelved=frozenset(shelve or ()),
            severities=severities_of(severity or ()),
        )
    except TocsinError as error:
        raise _refused(error) from None
    _finish(show_whatif((mongodb_uri, database, tenant), (begin, until), rules, out, as_json=json))


@app.command()
def verify(mongodb_uri: MongodbUri, database: DatabaseName = "tocsin") -> None:
    """Check the log: no gaps, and every snapshot equals the fold of its alarm's events."""
    _finish(verify_log(mongodb_uri, database, out))


@app.command()
def token(
    sub: Annotated[str, typer.Option(help="Who it is for.")],
    role: Annotated[list[TokenRole], typer.Option(help="A role; may be given several times.")],
    tenant: Annotated[str, typer.Option(help="Whose alarms.")] = "default",
    ttl: Annotated[str, typer.Option(help="How long it holds: 90s, 15m, 1h, 30d.")] = "1h",
    auth_secret: AuthSecret = None,
) -> None:
    """Make a token signed with TOCSIN_AUTH_SECRET and print it: for trying things out, and for scripts."""
    try:
        out.file.write(minted(auth_secret, sub, tenant, frozenset(each.value for each in role), ttl) + "\n")
    except TocsinError as error:
        raise _refused(error) from None


@log_app.command("show")
def log_show(mongodb_uri: MongodbUri, database: DatabaseName = "tocsin") -> None:
    """Print the log's identity and its end."""
    _run(show_log(Settings(mongodb_uri=mongodb_uri, database=database), out))


@log_app.command("reset-identity")
def log_reset_identity(
    mongodb_uri: MongodbUri,
    database: DatabaseName = "tocsin",
    feed: Feed = "auto",
    redis_url: RedisUrl = None,
) -> None:
    """After a restore from a backup: let every process and every client start over."""
    settings = Settings(mongodb_uri=mongodb_uri, database=database, feed=feed, redis_url=redis_url)
    _run(reset_identity(settings, out))


@outbox_app.command("list")
def outbox_list(
    *,
    mongodb_uri: MongodbUri,
    database: DatabaseName = "tocsin",
    state: Annotated[RowState | None, typer.Option(help="Default: all that is not delivered.")] = None,
    webhook: OfWebhook = None,
    tenant: Tenant = "default",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1_000)] = 100,
) -> None:
    """List what is pending and what is dead, the oldest first."""
    settings = Settings(mongodb_uri=mongodb_uri, database=database)
    states = UNDELIVERED if state is None else frozenset({state})
    query = OutboxQuery(tenant=tenant, states=states, webhook=webhook, limit=limit)
    _run(list_rows(settings, query, out))


@outbox_app.command("retry")
def outbox_retry(
    rows: Annotated[list[str] | None, typer.Argument(help="Ids of dead rows; with none, see --all.")] = None,
    *,
    mongodb_uri: MongodbUri,
    database: DatabaseName = "tocsin",
    every: Annotated[bool, typer.Option("--all", help="Every dead row.")] = False,
    webhook: OfWebhook = None,
    tenant: Tenant = "default",
    feed: Feed = "auto",
    redis_url: RedisUrl = None,
) -> None:
    """Send dead rows again."""
    if bool(rows) == every:
        raise typer.BadParameter("name the rows, or give --all")
    settings = Settings(mongodb_uri=mongodb_uri, database=database, feed=feed, redis_url=redis_url)
    _finish(retry_rows(settings, tenant, rows or (), webhook, out))


def _children(processes: int, port: int, *, own: bool) -> list[list[str]]:
    """Return the commands of the processes: this one's, with what differs at its end, where it counts."""
    itself = [sys.executable, "-m", "entrypoints.cli", *sys.argv[1:], "--processes", "1"]
    if own:
        return [[*itself, "--port", str(port + index)] for index in range(processes)]
    return [[*itself, "--shared-port"] for _ in range(processes)]


def _with_webhooks(settings: Settings, allow: str, file: Path | None) -> Settings:
    allowed = tuple(entry.strip() for entry in allow.split(",") if entry.strip())
    return replace(settings, webhook_allow=allowed, webhooks_file=file)


def _settings(
    uri: str,
    database: str,
    host: str,
    port: int,
    origins: str,
    *,
    feed: FeedChoice = "auto",
    redis_url: str | None = None,
) -> Settings:
    listed = tuple(origin.strip().rstrip("/") for origin in origins.split(",") if origin.strip())
    return Settings(
        mongodb_uri=uri,
        database=database,
        host=host,
        port=port,
        allowed_origins=listed,
        feed=feed,
        redis_url=redis_url,
    )


def _finish(work: Coroutine[Any, Any, int]) -> None:
    raise typer.Exit(_run(work))


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except TocsinError as error:
        raise _refused(error) from None
    except ExceptionGroup as group:
        # What the parts of a process raise comes out of its task group wrapped, even if it is only one.
        alone = _only(group)
        if not isinstance(alone, TocsinError):
            raise
        raise _refused(alone) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's event loops, where there is a uvloop for this platform."""
    try:
        import uvloop  # noqa: PLC0415 (an optional dependency)
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


def _refused(error: TocsinError) -> typer.Exit:
    err.print(f"tocsin: {error}", style="red", markup=False, soft_wrap=True)
    return typer.Exit(REFUSED)


def _only(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
