"""Traces by OpenTelemetry, sent by OTLP: an optional extra."""
