"""Alertmanager's webhook, version 4, without the fields that Tocsin does not need."""

from typing import Literal

import msgspec


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert of a group. Times are RFC 3339; `ends_at` of a firing alert is the year 1."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    fingerprint: str = ""
    annotations: dict[str, str] = {}
    starts_at: str = ""
    ends_at: str = ""
    generator_url: str = msgspec.field(name="generatorURL", default="")


class AlertmanagerWebhook(msgspec.Struct, frozen=True, rename="camel"):
    """The posted body: the alerts of one group, each with its own status."""

    alerts: list[Alert]
    version: str = "4"
    receiver: str = ""
    group_key: str = ""
    truncated_alerts: int = 0
    external_url: str = msgspec.field(name="externalURL", default="")
