"""Webhooks: from an event to the call that tells of it."""
