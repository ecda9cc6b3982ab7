"""Clients that cost next to nothing: they connect, say one thing, and drop whatever they are sent."""

import multiprocessing
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: tocsin.v1.json\r\n\r\n"
)


@contextmanager
def clients(port: int, messages: list[bytes]) -> Iterator[None]:
    """Connect one client for each message, in a process of their own, until the context ends."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_drain, args=(port, messages, theirs))
    process.start()
    try:
        yield
    finally:
        ours.send("stop")
        process.join()


def client_frame(text: bytes) -> bytes:
    """Frame a text message as a client has to, with a mask that changes nothing."""
    length = len(text)
    header = bytes([0x81, 0x80 | length]) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
    return header + bytes(4) + text


def _drain(port: int, messages: list[bytes], stop: Connection) -> None:
    selector = selectors.DefaultSelector()
    for message in messages:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(UPGRADE)
        while b"\r\n\r\n" not in connection.recv(4_096):
            pass
        connection.sendall(client_frame(message))
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, connection)
    selector.register(stop, selectors.EVENT_READ)
    buffer = bytearray(1 << 20)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            if not key.data.recv_into(buffer):
                selector.unregister(key.data)
