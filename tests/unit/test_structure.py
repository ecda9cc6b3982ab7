"""What holds of the source as a whole, read and not run."""

import ast
import builtins
from collections import defaultdict
from functools import cache
from pathlib import Path

from core import errors

ROOT = Path(__file__).parents[2]
PORT_METHODS = 6


@cache
def classes() -> list[tuple[str, ast.ClassDef]]:
    return [
        (file.relative_to(ROOT).as_posix(), node)
        for package in ("core", "adapters", "entrypoints")
        for file in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    ]


def bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}


def is_exception(name: str, known: dict[str, set[str]]) -> bool:
    builtin = getattr(builtins, name, None)
    if isinstance(builtin, type) and issubclass(builtin, BaseException):
        return True
    if name in known:
        return any(is_exception(base, known) for base in known[name])
    return name.endswith(("Error", "Exception"))


def test_no_two_public_classes_have_the_same_name() -> None:
    files = defaultdict(list)
    for file, node in classes():
        if not node.name.startswith("_"):
            files[node.name].append(file)
    assert {name: found for name, found in files.items() if len(found) > 1} == {}


def test_every_error_is_in_the_one_tree() -> None:
    known = {node.name: bases(node) for _, node in classes()}
    places = {node.name: file for file, node in classes() if is_exception(node.name, known)}
    public = {name: file for name, file in places.items() if not name.startswith("_")}
    tree = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert {name for name, file in public.items() if file == "core/errors.py"} <= tree
    outside = {name: file for name, file in public.items() if file != "core/errors.py"}
    assert all(file.startswith("entrypoints/") for file in outside.values()), outside
    assert all(known[name] & tree for name in outside), outside


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = {word for line in (errors.__doc__ or "").splitlines() for word in line.split() if word.isalnum()}
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert kinds.keys() <= drawn
    assert all(issubclass(kind, errors.TocsinError) for kind in kinds.values())


def test_no_port_asks_for_much() -> None:
    large = {
        node.name: methods
        for file, node in classes()
        if file.startswith("core/") and file.endswith("/ports.py") and "Protocol" in bases(node)
        if (methods := sum(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in node.body))
        > PORT_METHODS
    }
    assert large == {}
