"""Node, for the tests of what runs in browsers: the one that Playwright's wheel brings."""

from pathlib import Path

import playwright

from tests.kit.components import component


def node() -> str:
    """Return the path of a Node that has WebSocket and a test runner; without it, skip (fail in CI)."""
    path = Path(playwright.__file__).parent / "driver" / "node"
    component("the Node of Playwright's wheel", path.is_file())
    return str(path)
