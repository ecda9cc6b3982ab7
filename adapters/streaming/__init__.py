"""WebSocket sessions of one process: the driver of `core.delivery`."""
