"""Splits the JSON of a large body into pieces, so that none takes long to decode."""

import re
from collections.abc import Iterator

from core.errors import TocsinError

PIECE_BYTES = 64 * 1024
"""A piece ends with the first element that reaches this; a smaller body is one piece."""
PIECE_BRACKETS = 2_000
"""A piece also ends with the element that reaches so many brackets: finding one takes about 1 µs."""
ELEMENT_BYTES = 4 * 1024 * 1024
"""The largest element, and the most that may surround the array: one long text is quickly decoded."""
ELEMENT_BRACKETS = 10_000
ELEMENT_QUOTES = 20_000
"""Many short texts are not: an element, or what surrounds the array, has at most so many quotes."""
BARE_ELEMENTS = 20_000
"""How many elements without brackets may follow each other: there is no place to split them at."""

_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+[\[\]{}]', re.DOTALL)
_COMMA = re.compile(rb"[ \t\r\n]*,(?=[ \t\r\n]*[^ \t\r\n])")
_SPACES = b" \t\r\n"


class PieceTooLarge(TocsinError):
    """An element of the array, or all that is not in it, is too large to decode at once."""


class PieceMalformed(TocsinError):
    """There is no comma where one element ends and another begins."""


class JsonPieces:
    """The elements of one array in a JSON document, as JSON arrays of a few elements each.

    The array is the document itself, or with `name` the value under this name in the outermost object. Each
    piece takes a few milliseconds at most. Pieces and `rest` are well-formed only if the document is.
    """

    def __init__(self, document: bytes, name: str | None = None) -> None:
        self._document = document
        named = (
            rb"\A[ \t\r\n]*\[\Z" if name is None else rb'(?<!\\)"%b"[ \t\r\n]*:[ \t\r\n]*\[\Z' % name.encode()
        )
        self._begins = re.compile(named)
        self._level = 1 if name is None else 2
        # The array's brackets: the rest is what lies before it and after it.
        self._first, self._last = 0, 0

    @property
    def rest(self) -> bytes:
        """The document with an empty array; call after the iteration. Raises PieceTooLarge."""
        if self._first + len(self._document) - self._last > ELEMENT_BYTES:
            raise PieceTooLarge
        return _checked(self._document[: self._first] + self._document[self._last :])

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces in order. Raises PieceTooLarge, PieceMalformed."""
        begin = self._find()
        if begin is None:
            return
        while True:
            end, is_last = self._end(begin)
            piece = self._document[begin:end]
            if begin != self._first:
                piece = _after_comma(piece, is_last=is_last)
            if piece:
                yield b"[%b]" % _checked(piece)
            if is_last:
                self._last = end
                return
            begin = end

    def _find(self) -> int | None:
        """Return where the array's first element begins; None: the document has no such array."""
        depth, before = 0, 0
        for number, at in enumerate(self._brackets(0)):
            if number > ELEMENT_BRACKETS:
                raise PieceTooLarge
            bracket = self._document[at]
            if depth == self._level - 1 and self._begins.search(self._document[before : at + 1]):
                self._first = at + 1
                return at + 1
            depth += 1 if bracket in b"[{" else -1
            before = at + 1
        return None

    def _end(self, begin: int) -> tuple[int, bool]:
        """Return where the piece ends, and whether the array ends there too."""
        depth, before = 0, begin
        for number, at in enumerate(self._brackets(begin)):
            if number > ELEMENT_BRACKETS:
                break
            if depth == 0 and at - before > PIECE_BYTES:
                self._check_bare(before, at)
            before = at
            depth += 1 if self._document[at] in b"[{" else -1
            if depth < 0:
                return at, True
            if depth == 0 and (number >= PIECE_BRACKETS or at - begin >= PIECE_BYTES):
                return at + 1, False
        raise PieceTooLarge

    def _check_bare(self, begin: int, end: int) -> None:
        if self._document.count(b",", begin, end) > BARE_ELEMENTS:
            raise PieceTooLarge

    def _brackets(self, begin: int) -> Iterator[int]:
        """Yield where the brackets outside of texts are, up to the bound of an element."""
        at, end = begin, min(begin + ELEMENT_BYTES, len(self._document))
        while found := _TO_BRACKET.match(self._document, at, end):
            at = found.end()
            yield at - 1


def _checked(piece: bytes) -> bytes:
    if len(piece) > 2 * PIECE_BYTES and piece.count(b'"') > ELEMENT_QUOTES:
        raise PieceTooLarge
    return piece


def _after_comma(piece: bytes, *, is_last: bool) -> bytes:
    """Return a later piece without the comma before it; empty: the array ended with the piece before."""
    if is_last and not piece.strip(_SPACES):
        return b""
    comma = _COMMA.match(piece)
    if comma is None:
        raise PieceMalformed
    return piece[comma.end() :]
