"""Reads webhooks from a file at start-up: `{"webhooks": [...]}` as JSON, `[[webhooks]]` as TOML."""

import logging
import tomllib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.application.webhooks.administration import WebhookAdministration
from core.errors import Conflict, InvalidInput, StartupRefused
from core.lists.filter import Filter
from core.outbox.ports import WebhookDirectory
from core.outbox.webhook import Format, Webhook

logger = logging.getLogger("tocsin.webhooks")

FILE_BYTES = 1024 * 1024
NOT_IN_FILE = "it is not in the file of webhooks any more"


class WebhookEntry(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One webhook of the file. `id` identifies it; `after` counts only when it is created.

    `enabled` None: unchanged, so that a webhook that was disabled by its 410 stays disabled.
    """

    id: str
    url: str
    tenant: str = "default"
    format: Format = "cloudevents"
    filter: Filter = Filter()
    secrets: tuple[str, ...] = ()
    routing_key: str | None = None
    description: str = ""
    enabled: bool | None = None
    after: int | Literal["now"] = "now"


class WebhooksDocument(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The content of the file."""

    webhooks: tuple[WebhookEntry, ...] = ()


def read_entries(path: Path) -> Sequence[WebhookEntry]:
    """Read the file. Raises StartupRefused if it is unreadable, too large or invalid."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES + 1)
        if len(raw) > FILE_BYTES:
            raise StartupRefused(f"{path}: a file of webhooks has at most {FILE_BYTES} bytes")
        content = tomllib.loads(raw.decode()) if path.suffix == ".toml" else msgspec.json.decode(raw)
        entries = msgspec.convert(content, WebhooksDocument).webhooks
    except OSError as error:
        raise StartupRefused(f"the file of webhooks {path} cannot be read: {error.strerror}") from error
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise StartupRefused(f"{path}: {error}") from error
    if len({entry.id for entry in entries}) != len(entries):
        raise StartupRefused(f"{path}: two webhooks have the same id")
    return entries


async def apply_entries(
    entries: Sequence[WebhookEntry], outgoing: WebhookAdministration, webhooks: WebhookDirectory
) -> None:
    """Create or change webhooks as the file says; disable those that it no longer names.

    Raises:
        StartupRefused: an entry is invalid, or conflicts with an existing webhook.
        Unavailable: MongoDB cannot be reached.
    """
    known = {webhook.id: webhook for webhook in await webhooks.all()}
    for entry in entries:
        try:
            await _apply(entry, known.get(entry.id), outgoing)
        except (InvalidInput, Conflict) as error:
            raise StartupRefused(f"webhook {entry.id} of the file: {error}") from error
    named = {entry.id for entry in entries}
    for webhook in known.values():
        if webhook.from_file and webhook.enabled and webhook.id not in named:
            logger.warning("webhook %s: %s", webhook.id, NOT_IN_FILE)
            changes = {"enabled": False, "disabled_reason": NOT_IN_FILE}
            await webhooks.change(webhook.tenant, webhook.id, changes)


async def _apply(entry: WebhookEntry, known: Webhook | None, outgoing: WebhookAdministration) -> None:
    """Create the webhook, or change it as the entry says. Raises InvalidInput, Conflict."""
    if outgoing.traits(entry.format).signed and not entry.secrets:
        raise InvalidInput("it needs secrets: a generated one could never be shown")
    if known is None:
        await outgoing.create(_made(entry, outgoing.clock.now()), entry.after)
        return
    if (known.tenant, known.format, known.from_file) != (entry.tenant, entry.format, True):
        raise InvalidInput(
            "a webhook with this id has another tenant or format, or does not come from a file"
        )
    await outgoing.change(known, _changes(entry, known), None)


def _made(entry: WebhookEntry, now: datetime) -> Webhook:
    return Webhook(
        id=entry.id,
        tenant=entry.tenant,
        format=entry.format,
        enabled=entry.enabled is not False,
        from_file=True,
        created_at=now,
        **_fields(entry),
    )


def _changes(entry: WebhookEntry, known: Webhook) -> dict[str, Any]:
    """Return the fields in which the webhook differs from its entry."""
    fields = _fields(entry)
    if known.disabled_reason == NOT_IN_FILE and entry.enabled is None:
        fields["enabled"] = True
    elif entry.enabled is not None:
        fields["enabled"] = entry.enabled
    return {name: value for name, value in fields.items() if value != getattr(known, name)}


def _fields(entry: WebhookEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in ("url", "filter", "secrets", "routing_key", "description")}
