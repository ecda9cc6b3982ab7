"""OpenTelemetry traces over OTLP: an optional extra."""
