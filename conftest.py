"""What the tests of all distributions share."""

import gc
import os

from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("no deadlines", parent=settings(), deadline=None)
settings.load_profile("no deadlines")

# Each process that a test starts would take another quarter of a second to be measured, and runs
# hardly a line that other tests don't. The workers themselves have read this variable.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


# Run Python's garbage collector less often, since it looks at all of Wagtail each time. Not
# `gc.freeze()`: Hypothesis asks the collector who holds NumPy's random numbers.
gc.set_threshold(20_000, 20, 100)


def pytest_collection_finish() -> None:
    """Collect what importing the tests has left."""
    gc.collect()
