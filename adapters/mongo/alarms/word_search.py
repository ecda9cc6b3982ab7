"""Narrows a search for words on the server, so that few rows come over only to be refused."""

from collections.abc import Set as AbstractSet

from adapters.mongo.client import Document

SEARCHED = ("source", "type", "qualifier", "assignee", "text")
"""The fields of an alarm that have its words."""
NARROWING = 8
"""By how many words the server narrows a search, the longest ones: it looks for each in all fields."""
_BEYOND_ASCII = r"[^\x00-\x7F]"


def may_have(words: AbstractSet[str]) -> Document:
    """Return a condition that holds for every alarm in which each word begins a word, and for few others.

    The server folds letters beyond ASCII in ways of its own, so that an alarm with any of them passes;
    core.lists.query.has_words decides.
    """
    if not all(map(str.isascii, words)):
        return _in_any_field(_BEYOND_ASCII)
    longest = sorted(words, key=lambda word: (-len(word), word))[:NARROWING]
    begun = [_in_any_field(f"(?:^|[^a-zA-Z0-9]){word}") for word in longest]
    return {"$or": [{"$and": begun}, _in_any_field(_BEYOND_ASCII)]}


def _in_any_field(pattern: str) -> Document:
    return {"$or": [{f"alarm.{name}": {"$regex": pattern, "$options": "i"}} for name in SEARCHED]}
