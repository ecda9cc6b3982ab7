"""A disk that is soon full: a file system in memory of a given size, which takes root to mount."""

import errno
import subprocess
from pathlib import Path
from typing import Self

from tests.kit.components import component

CHUNK = bytes(1024 * 1024)


class SmallDisk:
    """The disk, mounted as long as the context lasts; where it cannot be, skip (fail in CI)."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        """Take a folder that is not there yet."""
        self._folder = folder
        self._filler = folder / "filler"
        self._megabytes = megabytes

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        size = f"size={self._megabytes}m"
        mounting = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._folder)],
            check=False,
            capture_output=True,
        )
        component("a file system that can be mounted (root)", mounting.returncode == 0)
        return self

    def __exit__(self, *_: object) -> None:
        # What still has a file open there keeps it until it ends.
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def fill(self) -> None:
        """Leave no room at all."""
        with self._filler.open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(CHUNK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def clear(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)
