"""Server-Sent Events: what a session over HTTP writes to."""
