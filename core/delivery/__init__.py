"""Delivery, sans-I/O: which session gets which event, in which frame."""
