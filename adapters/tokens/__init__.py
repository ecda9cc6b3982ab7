"""Signed tokens (JWT, RFC 7519): the only folder that knows the library for them."""
