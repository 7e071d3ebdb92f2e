"""Lets one process lead the build of a collection, while any number of others take shares of it.

The process that leads compares, and at the end fills the vector backend and replaces the active
collection. If it ends early, another takes the lead.
"""

from __future__ import annotations

import time

from django.db.models import Q
from django.utils import timezone

from ..models.tables import Collection
from .processes import HEARTBEAT, has_ended, is_at_work, process_name, silent
from .progress import Progress

__all__ = ["Heartbeat", "is_being_built", "is_led_by_another", "lead", "release"]


def lead(collection: Collection) -> bool:
    """Let this process lead the build of a collection; return False if another one does.

    A collection that is not saved yet is noted without a query.
    """
    me, now = process_name(), timezone.now()
    if not collection._state.adding:  # noqa: SLF001
        leaderless = Q(builder__in=("", me)) | silent("builder_seen")
        if has_ended(collection.builder):
            leaderless |= Q(builder=collection.builder)
        own_row = Collection.objects.filter(pk=collection.pk, state=Collection.State.BUILDING)
        led = own_row.filter(leaderless)
        # Looked at first, since an update waits on SQLite for all that other processes write, even
        # if it changes nothing. The others must wait until this process has compared.
        if not (led.exists() and led.update(builder=me, builder_seen=now, compared_at=None)):
            return False
    collection.builder, collection.builder_seen = me, now
    return True


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
        if now - self._last_beat > HEARTBEAT:
            self._last_beat = now
            own_row = Collection.objects.filter(pk=self._collection.pk, builder=process_name())
            own_row.update(builder_seen=timezone.now())


def is_being_built(collection: Collection) -> bool:
    """Return whether a process that builds a collection was seen a short time ago."""
    return is_at_work(collection.builder, collection.builder_seen)


def is_led_by_another(collection: Collection) -> bool:
    """Return whether another process builds a collection, as far as is known."""
    return collection.builder != process_name() and is_being_built(collection)


def release(collection: Collection) -> None:
    """Give up this process's lead of a collection."""
    Collection.objects.filter(pk=collection.pk, builder=process_name()).update(builder="")
