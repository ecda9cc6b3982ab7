"""Calls webhooks over HTTP, and only at allowed addresses."""
