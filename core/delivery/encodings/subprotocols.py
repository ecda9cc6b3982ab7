"""The subprotocols of a WebSocket that clients choose from."""

from core.delivery.encodings.json import JSON
from core.delivery.encodings.msgpack import MESSAGE_PACK

ENCODINGS = {encoding.subprotocol: encoding for encoding in (JSON, MESSAGE_PACK)}
"""The encodings by their subprotocol, the preferred one first."""
