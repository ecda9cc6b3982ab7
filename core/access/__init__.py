"""Callers, API keys and revocations."""
