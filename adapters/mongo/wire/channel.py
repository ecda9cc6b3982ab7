"""A connected socket on the event loop, with or without TLS, for one command at a time."""

import asyncio
import socket
import ssl
from contextlib import suppress

from adapters.mongo.wire.messages import IncomingMessage

PIECE_BYTES = 64 * 1024
"""How much is read at once: a larger buffer costs a mapping of memory for each answer, 20 us."""

_WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Channel:
    """Sends a message and returns its answer; closed for good by the first failure.

    The socket's reader stays registered, so that a connection that the server closes is noticed at once.
    """

    def __init__(self, connected: socket.socket, most: int) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._incoming = IncomingMessage(most)
        self._answer: asyncio.Future[bytes] | None = None
        self._request_id = 0
        self._unsent = memoryview(b"")
        self.closed = False
        connected.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        self._number = connected.fileno()
        self._loop.add_reader(self._number, self._readable)

    async def ask(self, request_id: int, message: bytes, seconds: float) -> bytes:
        """Send the message of this id and return the answer, a BSON document.

        When this raises, by a timeout or a cancellation too, the channel is closed: its answer may yet come.

        Raises:
            TimeoutError: no answer within so many seconds.
            OSError: the connection was lost, or the server sent something else.
        """
        if self.closed:
            raise ConnectionError("the connection is closed")
        assert self._answer is None  # noqa: S101 (a second command would take the first one's answer)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._answer = answer
        self._request_id = request_id
        expiry = self._loop.call_later(seconds, self.fail, TimeoutError("timed out"))
        try:
            self._unsent = memoryview(message)
            self._send()
            return await answer
        except BaseException:
            self.close()
            # A caller that is cancelled meanwhile never asks for the error.
            _ = answer.done() and not answer.cancelled() and answer.exception()
            raise
        finally:
            self._answer = None
            expiry.cancel()

    def fail(self, error: Exception) -> None:
        """Close the channel; whoever waits for an answer gets the error."""
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def close(self) -> None:
        """Take the socket from the event loop; whoever opened it closes it."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._number)
            self._loop.remove_writer(self._number)
            with suppress(OSError):
                # The server notices at once, and ends a command that it holds back.
                self._socket.shutdown(socket.SHUT_RDWR)

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except _WAITS:
            self._loop.add_writer(self._number, self._writable)
        except OSError as error:
            self.fail(error)

    def _writable(self) -> None:
        self._loop.remove_writer(self._number)
        self._send()

    def _readable(self) -> None:
        try:
            # TLS decrypts more than it hands out, and the event loop does not see what is left.
            while not self.closed and self._receive() and isinstance(self._socket, ssl.SSLSocket):
                pass
        except _WAITS:
            pass
        except OSError as error:
            self.fail(error)

    def _receive(self) -> bool:
        """Take what has come; return False at the end of an answer."""
        piece = self._socket.recv(PIECE_BYTES)
        if not piece:
            raise ConnectionResetError("connection closed")
        if self._answer is None or self._answer.done():
            raise ConnectionAbortedError("an answer that nobody waits for")
        answer = self._incoming.take(piece, self._request_id)
        if answer is not None:
            self._answer.set_result(answer)
        return answer is None
