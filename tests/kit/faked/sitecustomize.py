"""Lets a Python process sleep under libfaketime, whose version 0.9.10 refuses `time.sleep` of Python 3.11.

Python imports this module by its name, from a folder on PYTHONPATH, before anything else.
"""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex) -> None:
    # Not by clock_nanosleep with an absolute time, which libfaketime answers with EINVAL.
    select.select([], [], [], float(seconds))


time.sleep = _sleep
