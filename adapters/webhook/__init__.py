"""Calls to webhooks: over HTTP, and never to an address that is not allowed."""
