"""Worker tasks: each runs in one process at a time, under a lease.

entrypoints/process/workers.py lists the five. A worker process (`tocsin worker`) runs them and serves no
clients.
"""
