"""Webhooks: routes events to the outbox, and sends its rows."""
