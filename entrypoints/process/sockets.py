"""The socket that a process listens on, and how many more it may open."""

import logging
import resource
import socket

from core.errors import StartupRefused

logger = logging.getLogger("tocsin.serve")

BACKLOG = 2_048
SEND_BYTES = 256 * 1024
"""How much the kernel holds for a client; it would take megabytes, and hide for long who is slow."""
SPARE_FILES = 256
"""How many files a process needs besides its sessions' sockets."""


def listening(host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a socket that listens there; `shared`: other processes may as well.

    Raises:
        StartupRefused: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Accepted sockets inherit it.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartupRefused(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)  # noqa: FBT003 (the standard library takes no keyword)
    return listener


def allow_sessions(sessions: int) -> None:
    """Raise the soft limit of open files as far as it may be: the usual 1,024 end at as many sessions."""
    wanted = sessions + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logger.warning("only %d files may be open here: fewer than %d sessions will fit", allowed, wanted)
