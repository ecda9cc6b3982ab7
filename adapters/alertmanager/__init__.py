"""Turns webhooks of Prometheus Alertmanager, version 4, into commands."""
