"""Frames on a connection between processes: a length of four bytes, and so many bytes (ADR 0035)."""

import asyncio
from abc import ABC, abstractmethod
from typing import cast

FRAME_BYTES = 1024 * 1024
"""The largest frame: an event at its bounds, with the alarm before it, takes a tenth."""
PROOF_FRAME_BYTES = 256
"""The largest frame of a side that has not proved itself yet."""
UNSENT_BYTES = 16 * 1024 * 1024
"""How much may wait for a peer that reads slowly or not at all."""
_LENGTH = 4


class Framed(asyncio.Protocol, ABC):
    """Splits what comes into frames, and ends the connection to a peer that breaks the bounds."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._longest = PROOF_FRAME_BYTES
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports have asyncio's methods and are none of its classes.
        self._transport = cast("asyncio.Transport", transport)

    def trust(self) -> None:
        """Take frames of full size from now on: the other side has proved itself."""
        self._longest = FRAME_BYTES

    def data_received(self, data: bytes) -> None:
        """Hand over each whole frame, until one ends the connection."""
        self._received += data
        start = 0
        while not self._ended and len(self._received) >= start + _LENGTH:
            length = int.from_bytes(self._received[start : start + _LENGTH])
            if length > self._longest:
                self.abort()
                return
            end = start + _LENGTH + length
            if len(self._received) < end:
                break
            self.received(bytes(self._received[start + _LENGTH : end]))
            start = end
        del self._received[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the connection is gone."""
        del exc
        self._transport = None
        self.lost()

    def send(self, frame: bytes) -> None:
        """Send the frame, or nothing once the connection is gone."""
        transport = self._transport
        if transport is None or self._ended:
            return
        transport.write(len(frame).to_bytes(_LENGTH) + frame)
        if transport.get_write_buffer_size() > UNSENT_BYTES:
            self.abort()

    def abort(self) -> None:
        """End the connection at once, with all that is unsent."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def _ended(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    @abstractmethod
    def received(self, frame: bytes) -> None:
        """Take a frame."""

    @abstractmethod
    def lost(self) -> None:
        """Note that the connection is gone; called once."""
