"""Which process builds a collection, so that a second one can leave it alone.

That is courtesy, and no lock: two that build the same collection write the same, and one
that was killed must not keep others from going on where it stopped.
"""

from __future__ import annotations

import datetime as dt
import os
import socket

from django.db.models import Q
from django.utils import timezone

from ..exceptions import RebuildRunning
from ..models.tables import Collection
from .progress import Progress

#: How long a builder is believed to live that was not heard of.
SILENCE = dt.timedelta(minutes=5)

_HEARTBEAT = dt.timedelta(seconds=10)


def claim(collection: Collection) -> None:
    """Become the process that builds a collection.

    Raises:
        RebuildRunning: another one builds it, and was heard of not long ago.
    """
    now = timezone.now()
    unclaimed = Q(builder__in=("", _myself())) | Q(builder_seen__lt=now - SILENCE)
    if _is_dead(collection.builder):
        unclaimed |= Q(builder=collection.builder)
    own_row = Collection.objects.filter(pk=collection.pk)
    if not own_row.filter(unclaimed).update(builder=_myself(), builder_seen=now):
        raise RebuildRunning(
            f"{collection.index} is being built by another process ({collection.builder})."
            " Nothing to do here: it also writes what changes meanwhile. Should that process"
            f" be no more, run this again {SILENCE.seconds // 60} minutes after its end."
        )
    collection.builder, collection.builder_seen = _myself(), now


class Heartbeat(Progress):
    """A progress that also tells now and then that this process still builds a collection."""

    def __init__(self, collection: Collection, progress: Progress) -> None:
        self._collection = collection
        self._progress = progress
        self._told = timezone.now()

    def started(self, index: str, doing: str, total: int) -> None:
        """Pass it on."""
        self._progress.started(index, doing, total)

    def indexed(self, count: int) -> None:
        """Pass it on, and be heard of."""
        self._progress.indexed(count)
        self._beat()

    def embedded(self, count: int) -> None:
        """Pass it on, and be heard of."""
        self._progress.embedded(count)
        self._beat()

    def pushed(self, count: int) -> None:
        """Pass it on, and be heard of."""
        self._progress.pushed(count)
        self._beat()

    def finished(self) -> None:
        """Pass it on."""
        self._progress.finished()

    def _beat(self) -> None:
        now = timezone.now()
        if now - self._told > _HEARTBEAT:
            self._told = now
            own_row = Collection.objects.filter(pk=self._collection.pk, builder=_myself())
            own_row.update(builder_seen=now)


def release(collection: Collection) -> None:
    """Leave a collection to whoever comes next."""
    Collection.objects.filter(pk=collection.pk, builder=_myself()).update(builder="")


def _myself() -> str:
    return f"{socket.gethostname()[:200]}:{os.getpid()}"


def _is_dead(builder: str) -> bool:
    """Whether a process of this machine has ended; of others nothing is known."""
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
