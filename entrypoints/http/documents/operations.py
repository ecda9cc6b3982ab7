"""What each route of the API is: which types it takes and gives, and which problems it answers with."""

from typing import Any

import msgspec

from adapters.alertmanager.webhook import AlertmanagerWebhook
from core.alarm.alarm import Alarm
from core.application.webhooks.service import Retried
from entrypoints.http.routes.access import DisconnectBody, KeyBody
from entrypoints.http.routes.bulk import COMMANDS, ITEMS
from entrypoints.http.routes.commands import BY_ID
from entrypoints.http.routes.outbox import RetryBody
from entrypoints.http.routes.webhooks import NewWebhook, Nothing, WebhookChanges
from entrypoints.http.schemas.answers import (
    AlarmsAnswer,
    CommandAnswer,
    DisconnectedAnswer,
    EnqueuedAnswer,
    EventsAnswer,
    HealthAnswer,
    IngestedAnswer,
    InvalidEventAnswer,
    KeysAnswer,
    NewKeyAnswer,
    ReadinessAnswer,
    RowAnswer,
    RowsAnswer,
    SessionsAnswer,
    StatsAnswer,
    TestAnswer,
    WebhookAnswer,
    WebhooksAnswer,
)
from entrypoints.http.schemas.bodies import ClearBody, RaiseBody
from entrypoints.http.schemas.parameters import (
    AsOfParameters,
    EventsParameters,
    ExportParameters,
    ListParameters,
    OutboxParameters,
    PageParameters,
    StatsParameters,
)

AWAY = ("unavailable",)
BODY = ("malformed_json", "incomplete_body", "body_too_large", "unsupported_media_type", "invalid")
COMMAND = (
    *BODY,
    *AWAY,
    "not_acceptable",
    "precondition_failed",
    "idempotency_key_reused",
    "too_many_requests",
    "outcome_unknown",
    "newer_version",
)
LIST = (*AWAY, "invalid", "position_ahead", "too_broad", "not_projected_yet", "newer_version")
CONDITIONS = ("Idempotency-Key", "If-Match")
OF_ALARM: dict[str, tuple[str, ...]] = {
    "clear": (),
    "acknowledge": ("already_acknowledged", "revision_outdated", "revision_ahead"),
    "confirm": ("not_acknowledged", "already_confirmed", "not_active"),
    "reset": ("not_latched", "still_active"),
    "shelve": ("already_shelved",),
    "unshelve": ("not_shelved",),
    "suppress": ("already_suppressed", "forbidden"),
    "unsuppress": ("not_suppressed", "forbidden"),
    "remove_from_service": ("already_out_of_service", "forbidden"),
    "place_in_service": ("not_out_of_service", "forbidden"),
    "assign": (),
    "unassign": (),
    "comment": (),
}
"""What each command on an alarm by its id can be refused for, beside what all of them can."""
SUMMARIES = {
    "clear": "Clear an alarm by hand",
    "acknowledge": "Take note of an alarm, as it stood at a revision",
    "confirm": "Say that an acknowledged alarm was seen to",
    "reset": "Let a latched alarm whose condition is gone return to normal",
    "shelve": "Put an alarm out of sight, for a time or until it returns to normal",
    "unshelve": "Bring a shelved alarm back into sight",
    "suppress": "Suppress an alarm by design",
    "unsuppress": "End the suppression by design",
    "remove_from_service": "Take an alarm out of service",
    "place_in_service": "Put an alarm back into service",
    "assign": "Say who sees to an alarm",
    "unassign": "Say that nobody sees to an alarm any more",
    "comment": "Say something about an alarm",
}


class Media(msgspec.Struct, frozen=True):
    """An answer that is no JSON: its media types."""

    types: tuple[str, ...]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.

    `body`: what it takes as JSON, `optional`: it may be left out. `answers`: what it gives, by status; None:
    no body. `codes`: its problems, beside those of every operation. `headers`: what it looks at.
    """

    method: str
    path: str
    id: str
    tag: str
    summary: str
    parameters: type[msgspec.Struct] | None = None
    body: Any = None
    optional: bool = False
    answers: dict[int, Any]
    codes: tuple[str, ...] = AWAY
    headers: tuple[str, ...] = ()


def _get(path: str, name: str, tag: str, summary: str, answer: Any, **more: Any) -> Operation:
    answers = {200: answer, **more.pop("answers", {})}
    return Operation(method="GET", path=path, id=name, tag=tag, summary=summary, answers=answers, **more)


def _post(path: str, name: str, tag: str, summary: str, body: Any, **more: Any) -> Operation:
    return Operation(method="POST", path=path, id=name, tag=tag, summary=summary, body=body, **more)


def _command(name: str) -> Operation:
    return _post(
        f"/v1/alarms/{{alarm_id}}/{name}",
        name,
        "commands",
        SUMMARIES[name],
        BY_ID[name].body,
        optional=not any(field.required for field in msgspec.structs.fields(BY_ID[name].body)),
        answers={200: CommandAnswer},
        codes=(*COMMAND, "unknown_alarm", "not_active", *OF_ALARM[name]),
        headers=CONDITIONS,
    )


OPERATIONS: tuple[Operation, ...] = (
    _post(
        "/v1/alarms",
        "raise",
        "commands",
        "Raise an alarm, or report that it still holds",
        RaiseBody,
        answers={200: CommandAnswer, 201: CommandAnswer},
        codes=(*COMMAND, "too_many_origins"),
        headers=CONDITIONS,
    ),
    _post(
        "/v1/clear",
        "clear_by_identity",
        "commands",
        "Clear an alarm as the device that raised it",
        ClearBody,
        answers={200: CommandAnswer},
        codes=(*COMMAND, "unknown_alarm", "not_active"),
        headers=CONDITIONS,
    ),
    *(_command(name) for name in BY_ID),
    _post(
        "/v1/commands",
        "commands",
        "commands",
        f"Carry out up to {COMMANDS:,} commands, each with an answer of its own",
        list[ITEMS],
        answers={200: "ItemAnswers"},
        codes=(*BODY, *AWAY, "not_acceptable", "too_many_commands", "too_many_requests"),
        headers=("Idempotency-Key",),
    ),
    _get(
        "/v1/alarms",
        "list",
        "alarms",
        "List alarms",
        AlarmsAnswer,
        parameters=ListParameters,
        codes=(*LIST, "bad_cursor"),
    ),
    _get(
        "/v1/alarms/export",
        "export",
        "alarms",
        "Export a list as a file",
        Media(("text/csv", "application/x-ndjson")),
        parameters=ExportParameters,
        codes=LIST,
    ),
    _get(
        "/v1/alarms/{alarm_id}",
        "alarm",
        "alarms",
        "Show an alarm, as it stands or stood",
        Alarm,
        parameters=AsOfParameters,
        answers={304: None},
        headers=("If-None-Match",),
        codes=(*AWAY, "unknown_alarm", "invalid", "position_ahead", "too_broad"),
    ),
    _get(
        "/v1/alarms/{alarm_id}/events",
        "alarm_events",
        "alarms",
        "Show what happened to an alarm",
        EventsAnswer,
        parameters=PageParameters,
        codes=(*AWAY, "unknown_alarm", "invalid"),
    ),
    _get(
        "/v1/events",
        "events",
        "events",
        "Page through the log, or follow it as an event stream",
        EventsAnswer,
        parameters=EventsParameters,
        codes=(*AWAY, "invalid", "position_ahead", "log_changed", "not_acceptable", "too_many_sessions"),
    ),
    _get(
        "/v1/stats",
        "stats",
        "alarms",
        "Count the alarms, and show the key figures of a period",
        StatsAnswer,
        parameters=StatsParameters,
        codes=(*AWAY, "invalid", "too_broad"),
    ),
    _post(
        "/v1/ingest/alertmanager",
        "ingest_alertmanager",
        "ingest",
        "Take a webhook of Alertmanager, version 4",
        AlertmanagerWebhook,
        answers={200: IngestedAnswer},
        codes=(
            "malformed_json",
            "incomplete_body",
            "unsupported_media_type",
            "invalid",
            "payload_too_large",
            *AWAY,
            "outcome_unknown",
            "newer_version",
        ),
    ),
    _post(
        "/v2/enqueue",
        "enqueue",
        "ingest",
        "Take an event of PagerDuty's Events API v2",
        "PagerDutyEvent",
        answers={202: EnqueuedAnswer, 400: InvalidEventAnswer},
        codes=(*AWAY, "outcome_unknown", "newer_version"),
    ),
    _get("/v1/webhooks", "list_webhooks", "webhooks", "List webhooks", WebhooksAnswer),
    _post(
        "/v1/webhooks",
        "create_webhook",
        "webhooks",
        "Make a webhook; only this answer has its secrets",
        NewWebhook,
        answers={201: WebhookAnswer},
        codes=(*BODY, *AWAY, "too_many_webhooks", "webhook_exists"),
    ),
    _get(
        "/v1/webhooks/{webhook_id}",
        "webhook",
        "webhooks",
        "Show a webhook",
        WebhookAnswer,
        codes=(*AWAY, "unknown_webhook"),
    ),
    Operation(
        method="PATCH",
        path="/v1/webhooks/{webhook_id}",
        id="change_webhook",
        tag="webhooks",
        summary="Change what the body names",
        body=WebhookChanges,
        answers={200: WebhookAnswer},
        codes=(
            *BODY,
            *AWAY,
            "unknown_webhook",
            "webhook_of_file",
            "webhook_enabled",
            "already_routed",
        ),
    ),
    Operation(
        method="DELETE",
        path="/v1/webhooks/{webhook_id}",
        id="remove_webhook",
        tag="webhooks",
        summary="Remove a webhook, and what was still to be sent to it",
        answers={204: None},
        codes=(*AWAY, "unknown_webhook", "webhook_of_file"),
    ),
    _post(
        "/v1/webhooks/{webhook_id}/test",
        "test_webhook",
        "webhooks",
        "Call a webhook once",
        Nothing,
        optional=True,
        answers={200: TestAnswer},
        codes=(*BODY, *AWAY, "unknown_webhook"),
    ),
    _get(
        "/v1/outbox",
        "outbox",
        "webhooks",
        "List what is still to be sent, or could not be",
        RowsAnswer,
        parameters=OutboxParameters,
        codes=(*AWAY, "invalid", "bad_cursor"),
    ),
    _post(
        "/v1/outbox/retry",
        "retry_all",
        "webhooks",
        "Send dead rows again",
        RetryBody,
        optional=True,
        answers={200: Retried},
        codes=(*BODY, *AWAY, "bad_cursor"),
    ),
    _post(
        "/v1/outbox/{row_id}/retry",
        "retry",
        "webhooks",
        "Send a dead row again",
        None,
        answers={200: RowAnswer},
        codes=(*AWAY, "unknown_row", "already_delivered", "overtaken"),
    ),
    _get("/v1/api-keys", "list_api_keys", "access", "List API keys", KeysAnswer),
    _post(
        "/v1/api-keys",
        "create_api_key",
        "access",
        "Make an API key; only this answer has it",
        KeyBody,
        answers={201: NewKeyAnswer},
        codes=(*BODY, *AWAY, "too_many_api_keys"),
    ),
    Operation(
        method="DELETE",
        path="/v1/api-keys/{key_id}",
        id="revoke_api_key",
        tag="access",
        summary="Refuse an API key from now on, on every process",
        answers={204: None},
        codes=(*AWAY, "unknown_api_key"),
    ),
    _get("/v1/sessions", "sessions", "access", "List the sessions of this process", SessionsAnswer),
    _post(
        "/v1/sessions/disconnect",
        "disconnect",
        "access",
        "End a subject's sessions on every process",
        DisconnectBody,
        answers={202: DisconnectedAnswer},
        codes=(*BODY, *AWAY),
    ),
    _get("/healthz", "healthz", "health", "Tell whether the process runs", HealthAnswer, codes=()),
    _get(
        "/readyz",
        "readyz",
        "health",
        "Tell whether the process can serve",
        ReadinessAnswer,
        codes=(),
        answers={503: ReadinessAnswer},
    ),
    _get(
        "/metrics",
        "metrics",
        "health",
        "Show this process's figures, for Prometheus",
        Media(("text/plain",)),
    ),
)
