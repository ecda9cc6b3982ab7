"""A clock that is wrong, for a process of its own: libfaketime, loaded before everything else."""

import os
from pathlib import Path

from tests.kit.components import component

PATCHES = Path(__file__).parent / "faked"
"""Where Python finds the `sitecustomize` that makes it bear libfaketime."""
PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")


def find_libfaketime() -> Path | None:
    """Return the library, the one for threads if there are two; None: it is not on this machine."""
    found = [path for place in PLACES for path in Path(place).rglob("libfaketime*.so.1")]
    return max(found, key=lambda path: path.name.startswith("libfaketimeMT"), default=None)


def shifted(seconds: float) -> dict[str, str]:
    """Return the environment of a process whose clock is so far ahead; no libfaketime: skip (fail in CI)."""
    library = find_libfaketime()
    component("faketime", library is not None)
    # Waits are measured by the monotonic clock, which nobody sets.
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{seconds:+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
        # Python takes compiled modules by the times of their sources, which must stay as they are.
        "NO_FAKE_STAT": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PATCHES), os.environ.get("PYTHONPATH")])),
    }
