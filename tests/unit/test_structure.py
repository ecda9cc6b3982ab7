"""Rules that the source as a whole keeps. These tests read the code's files and run none of them."""

import ast
import builtins
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from core import errors

ROOT = Path(__file__).parents[2]
PORT_MEMBERS = 6

SHARED_NAMES = {
    "Action": "PagerDuty's actions, of the events that come in and of those that go out",
    "Bell": "the feed's callable that gives a topic's event; the doorbell that Redis rings",
    "Command": "a command on an alarm; a command of the command line",
    "Details": "a body's field of that name; an operation's optional parts",
    "Document": "a document of MongoDB; one of OpenAPI or AsyncAPI",
    "Endpoint": "a webhook's endpoint; Starlette's word for the function behind a route",
    "Item": "a type variable of the index; what a subscription of the client yields",
    "LogIdentity": "the port that reads the log's identity; the field of messages that carries it",
    "Name": "a claim's or a body's field of that name, each with its own bounds",
    "Origin": "an origin of an alarm; a body's field of that name",
    "Pages": "the pages of a catch-up; the callable that reads pages of the list",
    "Position": "a field of messages, bodies and queries, each with its own bounds",
    "Start": "where a webhook begins; the schema of that field",
}
"""Names that mean different types in different files, each with what they mean there."""


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the code, by its path from the root."""
    return {
        file.relative_to(ROOT).as_posix(): ast.parse(file.read_text())
        for package in ("core", "adapters", "entrypoints")
        for file in sorted((ROOT / package).rglob("*.py"))
    }


@cache
def classes() -> list[tuple[str, ast.ClassDef]]:
    return [
        (file, node)
        for file, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
    ]


def assigned(module: ast.Module) -> Iterator[str]:
    """Yield the names that the module itself assigns: constants, aliases and type variables."""
    for node in module.body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def is_alias(name: str) -> bool:
    """Tell whether a module-level name is that of a type. A type variable of one letter says nothing."""
    return len(name) > 1 and name[0].isupper() and not name.isupper()


def asked(node: ast.ClassDef, known: dict[str, ast.ClassDef]) -> set[str]:
    """Return what an implementation must have: a protocol's members, inherited too, or abstract methods."""
    abstract = "ABC" in bases(node)
    own = {
        each.name
        for each in node.body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        if not abstract or "abstractmethod" in map(ast.unparse, each.decorator_list)
    }
    if not abstract:
        own |= {ast.unparse(each.target) for each in node.body if isinstance(each, ast.AnnAssign)}
    return own.union(*(asked(known[base], known) for base in bases(node) if base in known))


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


def test_no_two_files_mean_different_types_by_one_name() -> None:
    files = defaultdict(list)
    for file, node in classes():
        files[node.name].append(file)
    named = set(files)
    for file, module in modules().items():
        for name in assigned(module):
            # Two constants may share a name, as PAGE_EVENTS does; a constant and a class may not.
            if is_alias(name) or name in named:
                files[name].append(file)
    shared = {name: found for name, found in files.items() if len(found) > 1 and not name.startswith("_")}
    assert shared.keys() == SHARED_NAMES.keys(), shared


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
    known = {node.name: node for _, node in classes()}
    large = {
        node.name: sorted(wanted)
        for file, node in classes()
        if file.startswith("core/") and bases(node) & {"Protocol", "ABC"}
        if len(wanted := asked(node, known)) > PORT_MEMBERS
    }
    assert large == {}
