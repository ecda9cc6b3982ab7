"""Many raw sockets to one process, which take in little and whose end nobody waits for."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self

from tests.kit.attackers.target import Target

HOLDS_BYTES = 4_096
"""What a socket of the crowd takes in before its peer has to wait; Linux doubles it."""
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
LOOK_SECONDS = 0.25
READ_BYTES = 65_536
HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: tocsin.v1.json",
)


class Crowd:
    """The sockets; as an async context manager it closes them at the end.

    A server may refuse or end any of them at any time: that is no error.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._members: list[socket.socket] = []
        self.refused = 0
        """How many could not connect."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self._members:
            member.close()

    async def join(self, first: bytes = b"") -> socket.socket:
        """Connect one more, and have it say something."""
        member = socket.socket()
        member.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HOLDS_BYTES)
        member.setblocking(False)
        self._members.append(member)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(member, ("127.0.0.1", self.target.port))
        except OSError:
            self.refused += 1
            return member
        await self.say(member, first)
        return member

    async def upgrade(self, *, anonymous: bool = False) -> socket.socket:
        """Connect one more as a WebSocket, and read the answer to its handshake."""
        known = Target(self.target.port, authenticated=False) if anonymous else self.target
        member = await self.join(known.get("/v1/stream", *HANDSHAKE))
        answer = b""
        with suppress(OSError):
            async with asyncio.timeout(ANSWER_SECONDS):
                # Byte by byte, so that what comes behind it stays unread.
                while not answer.endswith(b"\r\n\r\n"):
                    if not (byte := await asyncio.get_running_loop().sock_recv(member, 1)):
                        break
                    answer += byte
        return member

    async def say(self, member: socket.socket, data: bytes, seconds: float = CONNECT_SECONDS) -> bool:
        """Send; tell whether the server took it all within that time."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_sendall(member, data)
        except OSError:
            return False
        return True

    async def say_for(self, member: socket.socket, data: bytes, seconds: float) -> None:
        """Send the same again and again, until the time is over or the server ends it."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            async with asyncio.timeout(seconds):
                while True:
                    await loop.sock_sendall(member, data)
                    # A send that is done at once does not let anybody else run.
                    await asyncio.sleep(0)

    async def hear(self, member: socket.socket, seconds: float) -> bytes:
        """Read what comes first; nothing, if the server ends the connection or the time is over."""
        with suppress(OSError):
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().sock_recv(member, READ_BYTES)
        return b""

    async def hear_out(self, member: socket.socket, seconds: float) -> bytes:
        """Read until the server ends the connection, or the time is over."""
        heard = bytearray()
        with suppress(OSError):
            async with asyncio.timeout(seconds):
                while part := await asyncio.get_running_loop().sock_recv(member, READ_BYTES):
                    heard += part
        return bytes(heard)

    def standing(self) -> int:
        """Read what has come, and count the connections that the server has not ended."""
        return sum(map(_stands, self._members))

    async def outlast(self, seconds: float) -> int:
        """Wait until none stands any more, or the time is over; return how many still do."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (left := self.standing()) and loop.time() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
        return left


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """Return a client's WebSocket frame; its mask is zero, so that the payload stays as it is."""
    size = len(payload)
    short = min(126, size)
    head = struct.pack("!BB", opcode | (0x80 if final else 0), short | 0x80)
    return head + (b"" if size < 126 else struct.pack("!H", size)) + bytes(4) + payload


def text(message: str) -> bytes:
    """Return a frame with a message of less than 64 KiB."""
    return frame(0x1, message.encode())


def _stands(member: socket.socket) -> bool:
    try:
        while member.recv(READ_BYTES):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
