"""A client of a running server's stream: one connection, whatever becomes of the sockets under it."""
