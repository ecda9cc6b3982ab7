"""Turns Alertmanager's alerts into commands.

The fingerprint covers all labels, `severity` too, so an alarm's warning rule and critical rule have different
ones: the fingerprint is an origin of the alarm, not its identity. A resolve may arrive late: it carries the
start of the alert that it resolves, and the alarm ignores it if the origin's present alert began later.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from adapters.alertmanager.webhook import Alert, AlertmanagerWebhook
from core.alarm import bounds
from core.alarm.alarm import Identity, Severity
from core.alarm.condition import Clear, Raise
from core.alarm.context import Context

SEVERITIES: dict[str, Severity] = {
    "critical": "critical",
    "error": "major",
    "warning": "warning",
    "info": "indeterminate",
}
SOURCE_LABELS = ("exported_instance", "instance", "job")
NAMELESS = "alert"
"""The type of an alert without an `alertname`."""
ANNOTATION_BYTES = len('"":"",')
"""The least that an annotation takes in the details."""
URL_BYTES = 2 * 1024
"""A longer URL is left out: cut, it would lead nowhere."""

_Time = Annotated[datetime, Meta(tz=True)]

MakeContext = Callable[[str, datetime | None], Context]
"""Makes a command's context from the source and the time it happened."""


def commands_of(
    webhook: AlertmanagerWebhook,
    tenant: str,
    context: MakeContext,
    severities: Mapping[str, Severity] = SEVERITIES,
) -> list[Raise | Clear]:
    """Return a command for each alert, in order: firing raises, resolved clears.

    Texts too long for an alarm are cut, and controls in names replaced, since no bound may lose an alert. A
    severity that is not in `severities` (in lower case) counts as indeterminate; the details keep its name.
    """
    return [_command(alert, webhook, tenant, context, severities) for alert in webhook.alerts]


def _command(
    alert: Alert,
    webhook: AlertmanagerWebhook,
    tenant: str,
    context: MakeContext,
    severities: Mapping[str, Severity],
) -> Raise | Clear:
    identity, began = _identity(alert, webhook, tenant), _time(alert.starts_at)
    origin = bounds.cut_name(alert.fingerprint or _digest(alert.labels), bounds.NAME_BYTES)
    if alert.status == "resolved":
        made = context(identity.source, _time(alert.ends_at))
        return Clear(context=made, alarm_id=identity.alarm_id, origin=origin, since=began)
    return Raise(
        context=context(identity.source, began),
        identity=identity,
        severity=severities.get(_severity(alert), "indeterminate"),
        text=_text(alert),
        labels=_labels(alert),
        details=_details(alert, webhook, severities),
        origin=origin,
        since=began,
    )


def _identity(alert: Alert, webhook: AlertmanagerWebhook, tenant: str) -> Identity:
    source_label = _source_label(alert.labels)
    source = alert.labels[source_label] if source_label else webhook.receiver or "alertmanager"
    rest = _other_labels(alert)
    return Identity(
        tenant=tenant,
        source=bounds.cut_name(source, bounds.NAME_BYTES),
        type=bounds.cut_name(alert.labels.get("alertname") or NAMELESS, bounds.NAME_BYTES),
        qualifier=_digest(rest) if rest else "",
    )


def _other_labels(alert: Alert) -> dict[str, str]:
    """Return the labels that are neither type nor severity nor source."""
    excluded = ("alertname", "severity", _source_label(alert.labels))
    return {name: value for name, value in alert.labels.items() if name not in excluded}


def _source_label(labels: Mapping[str, str]) -> str | None:
    return next((name for name in SOURCE_LABELS if labels.get(name)), None)


def _digest(labels: Mapping[str, str]) -> str:
    """Return 32 hex digits of the SHA-256 of the labels, as a JSON array of pairs in order of name.

    Alarm ids contain it: changing it would change every id.
    """
    return hashlib.sha256(msgspec.json.encode(sorted(labels.items()))).hexdigest()[:32]


def _text(alert: Alert) -> str:
    annotations = alert.annotations
    text = annotations.get("description") or annotations.get("summary") or ""
    return bounds.cut(text, bounds.TEXT_BYTES)


def _labels(alert: Alert) -> dict[str, str]:
    kept, limit = sorted(_other_labels(alert).items())[: bounds.LABELS], bounds.LABEL_BYTES
    return {bounds.cut_name(name, limit): bounds.cut(value, limit) for name, value in kept}


def _severity(alert: Alert) -> str:
    return alert.labels.get("severity", "").lower()


def _details(
    alert: Alert, webhook: AlertmanagerWebhook, severities: Mapping[str, Severity]
) -> dict[str, Any]:
    """Return URLs, annotations (cut only as far as they must be) and counts of what was left out."""
    urls = {"generator_url": alert.generator_url, "external_url": webhook.external_url}
    details: dict[str, Any] = {
        name: url for name, url in urls.items() if url and len(msgspec.json.encode(url)) <= URL_BYTES
    }
    if _severity(alert) not in ("", *severities):
        details["severity"] = bounds.cut(alert.labels["severity"], bounds.LABEL_BYTES)
    left_out = len(_other_labels(alert)) - bounds.LABELS
    if left_out > 0:
        details["labels_left_out"] = left_out
    if len(alert.annotations) * ANNOTATION_BYTES > bounds.DETAILS_BYTES:
        return details | {"annotations_left_out": len(alert.annotations)}
    for limit in (bounds.TEXT_BYTES, bounds.TEXT_BYTES // 8, bounds.TEXT_BYTES // 64):
        cut = {
            bounds.cut(name, min(limit, bounds.NAME_BYTES)): bounds.cut(value, limit)
            for name, value in sorted(alert.annotations.items())
        }
        whole = details | ({"annotations": cut} if cut else {})
        if len(msgspec.json.encode(whole)) <= bounds.DETAILS_BYTES:
            return whole
    return details | {"annotations_left_out": len(alert.annotations)}


def _time(text: str) -> datetime | None:
    """Return a time in UTC; None for a malformed one and for the year 1, which stands for none."""
    try:
        time: datetime = msgspec.convert(text, _Time).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return None
    return None if time.year == 1 else time
