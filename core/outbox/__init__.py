"""The outbox: webhooks, the rows to send to them, and when each row may be sent."""
