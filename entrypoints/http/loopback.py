"""Tells the addresses of this machine from those that others can reach."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_any_address(host: str) -> bool:
    """Return whether the host stands for all addresses of a machine, so that nobody can connect to it."""
    try:
        return not host or ip_address(host).is_unspecified
    except ValueError:
        return False
