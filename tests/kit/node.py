"""Node, for the tests of what runs in browsers: the one that Playwright's wheel brings."""

from importlib.util import find_spec
from pathlib import Path

from tests.kit.components import component


def node() -> str:
    """Return the path of a Node that has WebSocket and a test runner; without it, skip (fail in CI)."""
    spec = find_spec("playwright")
    found = spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "driver" / "node" if spec and spec.origin else Path()
    component("playwright (with its Node)", found and path.is_file())
    return str(path)
