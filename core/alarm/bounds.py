"""Bounds an alarm's contents, so that every event fits and every alarm can be cleared.

Each check raises InvalidInput, naming the part and its bound.
"""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

import msgspec

from core.errors import InvalidInput

TEXT_BYTES = 4 * 1024
DETAILS_BYTES = 16 * 1024
DETAILS_DEPTH = 32
LABELS = 32
LABEL_BYTES = 256
ORIGINS = 16
NAME_BYTES = 512
"""Identity parts, origins, event types and causes."""

CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
"""The controls (C0, DEL, C1) and the line separators, as a class of characters in regular expressions."""

_CONTROL = re.compile(f"[{CONTROLS}]")
_INT64 = range(-(2**63), 2**63)


def check_text(name: str, value: str, limit: int) -> None:
    """Check that a text is valid Unicode of at most `limit` bytes of UTF-8."""
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"{name} must be valid Unicode") from None
    if size > limit:
        raise InvalidInput(f"{name} must be at most {limit} bytes, not {size}")


def check_name(name: str, value: str, limit: int) -> None:
    """Check a text that becomes a field name in the store, where NUL is not allowed."""
    check_text(name, value, limit)
    if "\0" in value:
        raise InvalidInput(f"{name} must not contain NUL")


def check_printed_name(name: str, value: str, limit: int) -> None:
    """Check a text that people and programs tell alarms apart by: it has no control character."""
    check_text(name, value, limit)
    if has_controls(value):
        raise InvalidInput(f"{name} must not contain control characters or line separators")


def has_controls(text: str) -> bool:
    """Tell whether the text contains a control character or a line separator."""
    # `isprintable` is quick, and strict: it also rejects spaces and joiners of other scripts.
    return not text.isprintable() and _CONTROL.search(text) is not None


def cut_name(text: str, limit: int) -> str:
    """Cut a text as `cut` does; replace every control character, visibly."""
    return cut(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text), limit)


def cut(text: str, limit: int) -> str:
    """Cut a text to `limit` bytes of UTF-8, ending in an ellipsis; replace NUL, which names cannot hold."""
    # What is beyond the limit in characters is beyond it in bytes: only a little is encoded of a huge text.
    text = text[: limit + 1].replace("\0", "\N{REPLACEMENT CHARACTER}")
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - 3].decode(errors="ignore") + "…"


def check_labels(labels: dict[str, str]) -> None:
    """Check the number of labels and the size of each."""
    if len(labels) > LABELS:
        raise InvalidInput(f"labels must be at most {LABELS}, not {len(labels)}")
    for key, value in labels.items():
        check_printed_name("a label's name", key, LABEL_BYTES)
        check_text("a label's value", value, LABEL_BYTES)


def check_details(details: dict[str, Any]) -> None:
    """Check that details are storable: size, depth, names, integers within 64 bits, no NaN or infinity."""
    for depth, value in _walk(details, 1):
        if depth > DETAILS_DEPTH:
            raise InvalidInput(f"details must be at most {DETAILS_DEPTH} levels deep")
        if isinstance(value, dict):
            for key in value:
                check_name("a name in details", key, NAME_BYTES)
        elif isinstance(value, str):
            check_text("a text in details", value, DETAILS_BYTES)
        elif isinstance(value, int) and value not in _INT64:
            raise InvalidInput("integers in details must fit 64 bits")
        elif isinstance(value, float) and not isfinite(value):
            raise InvalidInput("numbers in details must be finite")
    size = len(msgspec.json.encode(details))
    if size > DETAILS_BYTES:
        raise InvalidInput(f"details must be at most {DETAILS_BYTES} bytes, not {size}")


def _walk(value: Any, depth: int) -> Iterator[tuple[int, Any]]:
    waiting = [(depth, value)]
    while waiting:
        depth, value = waiting.pop()
        yield depth, value
        if depth > DETAILS_DEPTH:
            continue
        if isinstance(value, dict):
            waiting.extend((depth + 1, child) for child in value.values())
        elif isinstance(value, list):
            waiting.extend((depth + 1, child) for child in value)
