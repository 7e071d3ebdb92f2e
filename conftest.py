"""What the tests of all distributions share."""

import gc

from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("no deadlines", parent=settings(), deadline=None)
settings.load_profile("no deadlines")


def pytest_collection_finish() -> None:
    """Run Python's garbage collector less often, since it looks at all of Wagtail each time."""
    # Not `gc.freeze()`: Hypothesis asks the collector who holds NumPy's random numbers.
    gc.collect()
    gc.set_threshold(20_000, 20, 100)
