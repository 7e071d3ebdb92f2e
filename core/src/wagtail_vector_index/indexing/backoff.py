"""The waits before objects and services that failed are tried again."""

from __future__ import annotations

import datetime as dt

__all__ = ["OBJECT_DELAY", "SERVICE_DELAY", "delay_after"]

_FIRST_DELAY = dt.timedelta(seconds=10)

#: The longest wait for an object whose text cannot be indexed.
OBJECT_DELAY = dt.timedelta(hours=1)

#: The longest wait of an index for a service that failed.
SERVICE_DELAY = dt.timedelta(minutes=10)


def delay_after(failures: int, longest: dt.timedelta) -> dt.timedelta:
    """Return the wait after a number of failures in a row. It doubles with each failure."""
    return min(_FIRST_DELAY * 2.0 ** min(failures - 1, 20), longest)
