"""Worker tasks: each runs in one process at a time, under a lease."""
