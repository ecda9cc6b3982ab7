"""The limits of a process as options of its command, each an environment variable and a flag."""

from typing import Annotated

import typer

MaxSessions = Annotated[
    int,
    typer.Option(
        rich_help_panel="Limits",
        envvar="TOCSIN_MAX_SESSIONS",
        help="How many streams one process serves at once.",
        min=1,
    ),
]
MaxSubscriptions = Annotated[
    int,
    typer.Option(
        rich_help_panel="Limits",
        envvar="TOCSIN_MAX_SUBSCRIPTIONS",
        help="How many subscriptions one has.",
        min=1,
        max=1_000,
    ),
]
MaxFilterValues = Annotated[
    int,
    typer.Option(
        rich_help_panel="Limits",
        envvar="TOCSIN_MAX_FILTER_VALUES",
        help="How many sources, types or alarm ids one filter can name.",
        min=1,
        max=1_000,
    ),
]
MaxMessageBytes = Annotated[
    int,
    typer.Option(
        rich_help_panel="Limits",
        envvar="TOCSIN_MAX_MESSAGE_BYTES",
        help="The largest message taken from a WebSocket's client.",
        min=1_024,
        max=1024 * 1024,
    ),
]
MaxMessagesPerSecond = Annotated[
    float,
    typer.Option(
        rich_help_panel="Limits",
        envvar="TOCSIN_MAX_MESSAGES_PER_SECOND",
        help="How many messages a second one client may send for long.",
        min=0.1,
    ),
]
StallSeconds = Annotated[
    float,
    typer.Option(
        rich_help_panel="Limits",
        envvar="TOCSIN_STALL_SECONDS",
        help="How long a client may take nothing of what it is sent.",
        min=0.1,
    ),
]
PingSeconds = Annotated[
    float,
    typer.Option(
        rich_help_panel="Limits",
        envvar="TOCSIN_PING_SECONDS",
        help="How often a WebSocket is pinged, and how long its client may take to answer.",
        min=0.1,
    ),
]
DrainSeconds = Annotated[
    float,
    typer.Option(
        rich_help_panel="Limits",
        envvar="TOCSIN_DRAIN_SECONDS",
        help="How long an ending process takes to send its clients away.",
        min=0.1,
    ),
]
