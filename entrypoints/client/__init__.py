"""A client of a server's stream, which reconnects by itself."""
