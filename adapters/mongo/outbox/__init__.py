"""The `webhooks` and `outbox` collections."""
