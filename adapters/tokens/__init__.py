"""Signed tokens (JWT, RFC 7519); the only folder that imports the library for them."""
