"""The waits before objects and services that failed are tried again."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q
from django.utils import timezone

__all__ = [
    "CLOCK_DIFFERENCE",
    "OBJECT_DELAY",
    "SERVICE_DELAY",
    "delay_after",
    "is_older_than",
    "older_than",
    "seconds_until",
]

_FIRST_DELAY = dt.timedelta(seconds=10)

#: The longest wait for an object whose text cannot be indexed.
OBJECT_DELAY = dt.timedelta(hours=1)

#: The longest wait of an index for a service that failed.
SERVICE_DELAY = dt.timedelta(minutes=10)

#: The most by which the clocks of two machines differ, unless one of them is wrong.
CLOCK_DIFFERENCE = dt.timedelta(minutes=1)


def delay_after(failures: int, longest: dt.timedelta) -> dt.timedelta:
    """Return the wait after a number of failures in a row. It doubles with each failure."""
    return min(_FIRST_DELAY * 2.0 ** min(failures - 1, 20), longest)


def seconds_until(moment: dt.datetime, longest: dt.timedelta) -> float:
    """Return the seconds from now until a moment, or 0 if the moment has passed.

    A moment that is further ahead than the longest wait was noted by a clock that was wrong. It
    counts as passed.
    """
    wait = moment - timezone.now()
    return wait.total_seconds() if dt.timedelta(0) < wait <= longest + CLOCK_DIFFERENCE else 0.0


def older_than(field: str, age: dt.timedelta) -> Q:
    """Return the condition that a moment in the past is at least this long ago.

    A moment in the future was noted by a clock that was wrong. It counts as long ago.
    """
    now = timezone.now()
    return Q(**{f"{field}__lt": now - age}) | Q(**{f"{field}__gt": now + CLOCK_DIFFERENCE})


def is_older_than(moment: dt.datetime, age: dt.timedelta) -> bool:
    """Return whether a moment meets the condition of `older_than`."""
    passed = timezone.now() - moment
    return passed > age or passed < -CLOCK_DIFFERENCE
