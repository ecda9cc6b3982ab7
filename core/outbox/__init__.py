"""What Tocsin tells the outside: webhooks, the rows of the outbox, and when each may be sent."""
