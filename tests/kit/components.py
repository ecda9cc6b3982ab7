"""What a test needs from its machine besides Python: programs that may not be there."""

import os

import pytest


def component(name: str, found: bool) -> None:
    """Go on if a component is there; else skip the test, or fail it in CI.

    A skipped test proves nothing, so CI, which installs every component, must not skip for want of one.
    """
    if found:
        return
    reason = f"needs {name}, which is not on this machine"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; in CI that is a failure", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
