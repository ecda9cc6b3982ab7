"""Serves the sessions of one process, over WebSocket and Server-Sent Events."""
