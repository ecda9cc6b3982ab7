"""Adapters in memory: for tests, and where nothing outside is needed."""
