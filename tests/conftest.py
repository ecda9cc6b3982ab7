"""What holds for every test: the Hypothesis profiles, chosen by HYPOTHESIS_PROFILE."""

import os

from hypothesis import settings

pytest_plugins = ["tests.kit.fixtures"]

# No deadlines: how long an example takes on a loaded machine says nothing about whether it is right.
settings.register_profile("dev", max_examples=20, deadline=None, print_blob=True)
# The same commit must give the same answer in CI; the other profiles are there to find something new.
settings.register_profile("ci", max_examples=200, deadline=None, print_blob=True, derandomize=True)
settings.register_profile("nightly", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
