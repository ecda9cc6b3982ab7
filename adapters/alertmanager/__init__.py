"""Prometheus Alertmanager: its webhook, version 4, as commands."""
