"""What every request passes: counting, tracing, authorization."""
