"""Large JSON in pieces: what is decoded piece by piece is what would be decoded at once, and nothing else."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.http import json_pieces
from entrypoints.http.json_pieces import JsonPieces, PieceMalformed, PieceTooLarge

values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "PIECE_BYTES", 16)
    monkeypatch.setattr(json_pieces, "PIECE_BRACKETS", 3)


def read(document: bytes, name: str | None = None) -> tuple[list[Any], Any]:
    pieces = JsonPieces(document, name)
    elements = [element for piece in pieces for element in msgspec.json.decode(piece)]
    return elements, msgspec.json.decode(pieces.rest)


@given(st.lists(values, max_size=20))
def test_the_pieces_of_an_array_are_its_elements(elements: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_pieces, "PIECE_BYTES", 16)
        assert read(json.dumps(elements).encode()) == (elements, [])


@given(st.lists(values, max_size=20), st.dictionaries(st.text(), values, max_size=3))
def test_the_pieces_of_a_named_array_are_its_elements(elements: list[Any], others: dict[str, Any]) -> None:
    before = {name: other for name, other in others.items() if name != "alerts"}
    document = json.dumps(before | {"alerts": elements, "later": before}).encode()
    assert read(document, "alerts") == (elements, before | {"alerts": [], "later": before})


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[",
        b'[{"a": 1}',
        b'[{"a": 1111111111111} {"b": 1}]',
        b'[{"a": 1111111111111},]',
        b'[{"a": 1111111111111},,{"b": 1}]',
        b'[{"a": 1111111111111}, {"b": 1]]',
        b'[{"a": 1111111111111}, {"b": "x]',
        b'[{"a": 1}}',
        b'[{"a": 1}] 1',
    ],
)
def test_what_is_malformed_stays_malformed(document: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, PieceMalformed, PieceTooLarge)):
        read(document)


def test_an_array_of_another_name_or_depth_belongs_to_the_rest() -> None:
    inner: dict[str, Any] = {"x": {"alerts": [1]}, 'y"alerts': [2], "alerts": [{"alerts": [3]}]}
    expected = inner | {"alerts": []}
    assert read(json.dumps(inner).encode(), "alerts") == ([{"alerts": [3]}], expected)


@pytest.mark.parametrize(
    "document",
    [
        b'[{"a": "%b"}]' % (b"x" * 2_000),
        b"[%b%b]" % (b"[" * 200, b"]" * 200),
        b"[%b]" % (b"1," * 1_000),
        b'{"a": "%b", "alerts": []}' % (b"x" * 2_000),
    ],
)
def test_what_cannot_be_split_is_too_large(document: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "ELEMENT_BYTES", 1_000)
    monkeypatch.setattr(json_pieces, "ELEMENT_BRACKETS", 100)
    with pytest.raises(PieceTooLarge):
        read(document, "alerts" if document.startswith(b"{") else None)


def test_an_element_of_many_texts_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "ELEMENT_QUOTES", 100)
    with pytest.raises(PieceTooLarge):
        read(json.dumps([{str(number): "x" for number in range(100)}]).encode())


@pytest.mark.parametrize("document", [b"[%b1]" % (b"1," * 100), b"[{}, %b{}]" % (b"1," * 100)])
def test_many_elements_without_brackets_are_too_large(
    document: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_pieces, "BARE_ELEMENTS", 99)
    with pytest.raises(PieceTooLarge):
        read(document)


@pytest.mark.parametrize("inside", ["a, " * 100, [1] * 100])
def test_an_element_may_have_many_commas(inside: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "BARE_ELEMENTS", 9)
    elements = [{"a": inside, "b": number} for number in range(3)]
    assert read(json.dumps(elements).encode()) == (elements, [])
