"""The HTTP API: JSON in and out, RFC 9457 problems for every refusal."""
