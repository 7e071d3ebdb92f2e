"""Tells whether a process that works on an index, on this machine or another, still does.

A process notes its name and, regularly, the time beside what it works on. On its own machine, it
is also known at once whether it has ended. A note only saves work, and is not a lock: a process
that was killed must not keep others from continuing its work.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import socket
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from .backoff import CLOCK_DIFFERENCE, older_than

__all__ = ["HEARTBEAT", "SILENCE", "has_ended", "is_at_work", "process_name", "silent"]

#: After this time without a heartbeat, a process counts as ended.
SILENCE = dt.timedelta(minutes=5)

#: The seconds between two heartbeats, at least.
HEARTBEAT = 10.0

_LONGEST_HOST = 200

#: The namespace of process numbers outside of containers: a constant of Linux.
_FIRST_NAMESPACE = "pid:[4026531836]"


def process_name() -> str:
    """Return the name of this process: its machine, or container, and its number there."""
    return f"{_machine()}:{os.getpid()}"


def is_at_work(process: str, seen: dt.datetime | None) -> bool:
    """Return whether a process gave a sign of life a short time ago, as far as is known."""
    if not process or seen is None or has_ended(process):
        return False
    # A heartbeat in the future was noted by a clock that was wrong.
    return -CLOCK_DIFFERENCE <= timezone.now() - seen <= SILENCE


def silent(field: str) -> Q:
    """Return the condition that the last heartbeat, in this field, is too long ago."""
    return older_than(field, SILENCE)


def has_ended(process: str) -> bool:
    """Return whether a process has certainly ended; False for processes of other machines."""
    machine, _, number = process.rpartition(":")
    if os.name != "posix" or machine != _machine():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(number)


def _is_zombie(number: str) -> bool:
    """Return whether a process has ended, but its parent has not asked for its exit code yet."""
    try:
        status = Path(f"/proc/{number}/stat").read_bytes()
    except OSError:  # not on Linux, or it has just ended
        return False
    return status.rpartition(b")")[2].split()[:1] == [b"Z"]


@functools.cache
def _machine() -> str:
    """Return the name of the machine. Containers may share it, so theirs has a number added."""
    host = socket.gethostname()[:_LONGEST_HOST]
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not on Linux
        return host
    return host if namespace == _FIRST_NAMESPACE else f"{host}/{namespace[5:-1]}"
