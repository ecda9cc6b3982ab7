"""How an alert of Alertmanager becomes a command.

Two traps. The fingerprint covers all labels, `severity` too: one alarm's warning and critical rule have
two, so the fingerprint is an origin of the alarm and not its identity. And a resolve may arrive late: it
carries the beginning of what it resolves, and the alarm's rules ignore it if that is not the present one.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from adapters.alertmanager.webhook import Alert, Webhook
from core import bounds
from core.alarm import Identity, Severity
from core.commands import Clear, Context, Raise

SEVERITIES: dict[str, Severity] = {
    "critical": "critical",
    "error": "major",
    "warning": "warning",
    "info": "indeterminate",
}
SOURCE_LABELS = ("exported_instance", "instance", "job")
NAMELESS = "alert"
"""The type of an alert without an `alertname`."""

MakeContext = Callable[[str, datetime | None], Context]
"""Makes a command's context from the source and the time it happened."""


def commands_of(
    webhook: Webhook, tenant: str, context: MakeContext, severities: Mapping[str, Severity] = SEVERITIES
) -> list[Raise | Clear]:
    """Return a command for each alert, in order: firing raises, resolved clears.

    What is too long for an alarm is cut, since an alert must not be lost to a bound. A severity that
    `severities` does not name counts as indeterminate.
    """
    return [_command(alert, webhook, tenant, context, severities) for alert in webhook.alerts]


def _command(
    alert: Alert, webhook: Webhook, tenant: str, context: MakeContext, severities: Mapping[str, Severity]
) -> Raise | Clear:
    identity, began = _identity(alert, webhook, tenant), _time(alert.starts_at)
    origin = _cut(alert.fingerprint or _digest(alert.labels), bounds.NAME_BYTES)
    if alert.status == "resolved":
        made = context(identity.source, _time(alert.ends_at))
        return Clear(context=made, alarm_id=identity.alarm_id, origin=origin, since=began)
    return Raise(
        context=context(identity.source, began),
        identity=identity,
        severity=severities.get(alert.labels.get("severity", ""), "indeterminate"),
        text=_text(alert),
        labels=_labels(alert),
        details=_details(alert, webhook),
        origin=origin,
        since=began,
    )


def _identity(alert: Alert, webhook: Webhook, tenant: str) -> Identity:
    source_label = _source_label(alert.labels)
    source = alert.labels[source_label] if source_label else webhook.receiver or "alertmanager"
    rest = {
        name: value
        for name, value in alert.labels.items()
        if name not in ("alertname", "severity", source_label)
    }
    return Identity(
        tenant=tenant,
        source=_cut(source, bounds.NAME_BYTES),
        type=_cut(alert.labels.get("alertname") or NAMELESS, bounds.NAME_BYTES),
        qualifier=_digest(rest) if rest else "",
    )


def _source_label(labels: Mapping[str, str]) -> str | None:
    return next((name for name in SOURCE_LABELS if labels.get(name)), None)


def _digest(labels: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(sorted(labels.items()))).hexdigest()[:32]


def _text(alert: Alert) -> str:
    annotations = alert.annotations
    text = annotations.get("description") or annotations.get("summary") or ""
    return _cut(text, bounds.TEXT_BYTES)


def _labels(alert: Alert) -> dict[str, str]:
    shown = ("alertname", "severity", _source_label(alert.labels))
    kept = sorted((name, value) for name, value in alert.labels.items() if name not in shown)
    limit = bounds.LABEL_BYTES
    return {_cut(name, limit): _cut(value, limit) for name, value in kept[: bounds.LABELS]}


def _details(alert: Alert, webhook: Webhook) -> dict[str, Any]:
    details: dict[str, Any] = {
        "annotations": {_cut(name, bounds.NAME_BYTES): value for name, value in alert.annotations.items()},
        "generator_url": alert.generator_url,
        "external_url": webhook.external_url,
    }
    details = {name: value for name, value in details.items() if value}
    # Annotations are the sender's free text; without them the alarm still says what it is.
    if len(msgspec.json.encode(details)) > bounds.DETAILS_BYTES:
        details = {"left_out": "annotations and URLs of more than 16 KiB"}
    return details


def _time(text: str) -> datetime | None:
    """Return a time; None for none and for the year 1, which stands for none."""
    try:
        time = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    if time.tzinfo is None or time.year == 1:
        return None
    return time.astimezone(UTC)


def _cut(text: str, limit: int) -> str:
    """Cut a text to `limit` bytes of UTF-8, and say so by an ellipsis; NUL cannot be stored in names."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - 3].decode(errors="ignore") + "…"
