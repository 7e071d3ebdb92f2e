"""What the tests of all distributions share."""

from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("no deadlines", parent=settings(), deadline=None)
settings.load_profile("no deadlines")
