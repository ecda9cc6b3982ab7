"""The HTTP API: JSON in and out, RFC 9457 problems for everything that is refused."""
