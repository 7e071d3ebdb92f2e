"""Claims of collections by the process that builds them, so that others leave them alone.

A claim only saves work, and is not a lock. Two processes that build the same collection write
the same documents, and a process that was killed must not keep others from continuing its work.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import time

from django.db.models import Q
from django.utils import timezone

from ..exceptions import RebuildRunning
from ..models.tables import Collection
from .backoff import CLOCK_DIFFERENCE, older_than
from .progress import Progress

#: After this time without a heartbeat, a building process counts as ended.
SILENCE = dt.timedelta(minutes=5)

_HEARTBEAT = 10.0


def claim(collection: Collection) -> None:
    """Claim a collection for this process, which will build it.

    A collection that is not saved yet is claimed without a query.

    Raises:
        RebuildRunning: another process builds the collection, and its last heartbeat is recent.
    """
    now = timezone.now()
    if collection._state.adding:  # noqa: SLF001
        collection.builder, collection.builder_seen = _myself(), now
        return
    unclaimed = Q(builder__in=("", _myself())) | older_than("builder_seen", SILENCE)
    if _is_dead(collection.builder):
        unclaimed |= Q(builder=collection.builder)
    own_row = Collection.objects.filter(pk=collection.pk)
    if not own_row.filter(unclaimed).update(builder=_myself(), builder_seen=now):
        raise RebuildRunning(
            f"{collection.index} is being built by another process ({collection.builder})."
            " You need not do anything: that process also writes changes made in the meantime. If"
            f" that process has ended, run this again {SILENCE.seconds // 60} minutes after its"
            " end."
        )
    collection.builder, collection.builder_seen = _myself(), now


class Heartbeat(Progress):
    """A progress that also notes regularly that this process still builds a collection."""

    def __init__(self, collection: Collection, progress: Progress) -> None:
        self._collection = collection
        self._progress = progress
        self._last_beat = time.monotonic()

    def started(self, index: str, doing: str, total: int) -> None:
        """Pass the call on."""
        self._progress.started(index, doing, total)

    def indexed(self, count: int) -> None:
        """Pass the call on, and send a heartbeat."""
        self._progress.indexed(count)
        self._beat()

    def embedded(self, count: int) -> None:
        """Pass the call on, and send a heartbeat."""
        self._progress.embedded(count)
        self._beat()

    def pushed(self, count: int) -> None:
        """Pass the call on, and send a heartbeat."""
        self._progress.pushed(count)
        self._beat()

    def finished(self) -> None:
        """Pass the call on."""
        self._progress.finished()

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._last_beat > _HEARTBEAT:
            self._last_beat = now
            own_row = Collection.objects.filter(pk=self._collection.pk, builder=_myself())
            own_row.update(builder_seen=timezone.now())


def is_being_built(collection: Collection) -> bool:
    """Return whether a process that builds a collection was seen a short time ago."""
    if not collection.builder or collection.builder_seen is None or _is_dead(collection.builder):
        return False
    # A heartbeat in the future was noted by a clock that was wrong.
    return -CLOCK_DIFFERENCE <= timezone.now() - collection.builder_seen <= SILENCE


def is_claimed(collection: Collection) -> bool:
    """Return whether another process builds a collection, as far as is known."""
    return collection.builder != _myself() and is_being_built(collection)


def release(collection: Collection) -> None:
    """Give up this process's claim of a collection."""
    Collection.objects.filter(pk=collection.pk, builder=_myself()).update(builder="")


def _myself() -> str:
    return f"{socket.gethostname()[:200]}:{os.getpid()}"


def _is_dead(builder: str) -> bool:
    """Return whether a process has certainly ended; False for processes of other machines."""
    host, _, process = builder.rpartition(":")
    if os.name != "posix" or host != socket.gethostname()[:200]:
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
