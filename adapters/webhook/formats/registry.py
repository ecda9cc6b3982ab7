"""All formats, by the names that webhooks store."""

from adapters.webhook.formats.cloudevents import CloudEvents
from adapters.webhook.formats.pagerduty import PagerDuty
from adapters.webhook.formats.slack import Slack
from core.outbox.ports import Formats

FORMATS: Formats = {"cloudevents": CloudEvents(), "slack": Slack(), "pagerduty": PagerDuty()}
