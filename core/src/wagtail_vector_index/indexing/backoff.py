"""How long to wait before what failed is tried again."""

from __future__ import annotations

import datetime as dt

__all__ = ["OBJECT_DELAY", "SERVICE_DELAY", "delay_after"]

_FIRST_DELAY = dt.timedelta(seconds=10)

#: The longest wait for an object whose text cannot be indexed.
OBJECT_DELAY = dt.timedelta(hours=1)

#: The longest wait of an index for a service that does not work.
SERVICE_DELAY = dt.timedelta(minutes=10)


def delay_after(failures: int, longest: dt.timedelta) -> dt.timedelta:
    """Return the wait after so many failures in a row: each time twice as long."""
    return min(_FIRST_DELAY * 2.0 ** min(failures - 1, 20), longest)
