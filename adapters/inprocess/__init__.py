"""Turns and a doorbell within one process."""
