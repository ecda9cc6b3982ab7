"""Encodings for a session's wire: JSON or MessagePack over WebSocket, or Server-Sent Events."""
