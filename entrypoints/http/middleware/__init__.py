"""The middleware of every request: counting, tracing, authorization."""
