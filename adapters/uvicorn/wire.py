"""What both protocols share: where the application finds them, and word of a socket that takes data again."""

import asyncio
from collections.abc import Callable

WIRE = "tocsin.wire"
"""The key in `scope["extensions"]` under which the application finds the protocol."""
CUT_SECONDS = 10.0
"""How long a client may take for the end: to read the rest of a response, or to answer a close."""


class ResumingProtocol(asyncio.Protocol):
    """Calls `resumed` when the socket takes data again, after `write` returned False."""

    resumed: Callable[[], None] | None = None

    def resume_writing(self) -> None:
        """Go on after `pause_writing`."""
        super().resume_writing()
        if self.resumed is not None:
            self.resumed()
