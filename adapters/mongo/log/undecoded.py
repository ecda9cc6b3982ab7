"""Documents that are decoded one at a time, as they are taken."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

import bson
from bson.raw_bson import RawBSONDocument

from adapters.mongo.client import CODEC, Document

T = TypeVar("T")


class Undecoded(Sequence[T]):
    """A page of documents as MongoDB sent them; taking one decodes it, each time anew.

    Whoever goes through it and lets go of each has one decoded document at a time: it stays in the
    processor's cache, where a whole page of them would not.
    """

    def __init__(self, documents: Sequence[RawBSONDocument], decoded: Callable[[Document], T]) -> None:
        self._documents = documents
        self._decoded = decoded

    def __len__(self) -> int:
        """Return how many documents there are."""
        return len(self._documents)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Decode one document; a slice decodes none."""
        if isinstance(index, slice):
            return Undecoded(self._documents[index], self._decoded)
        return self._decoded(bson.decode(self._documents[index].raw, CODEC))

    def __iter__(self) -> Iterator[T]:
        """Decode the documents one after the other."""
        for document in self._documents:
            yield self._decoded(bson.decode(document.raw, CODEC))
