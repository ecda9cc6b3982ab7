"""Tests of the protocols that speak to sockets."""
