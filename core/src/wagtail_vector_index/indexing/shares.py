"""Shares of an index's outbox, so that any number of processes write its changes together.

A drain takes the rows of some objects as its share: it notes its name in them, embeds and writes
the objects, and takes the next share. Other drains leave these rows alone, and leave alone all
other rows of the same objects, since the texts that were read last must be written last. If a
process ends early, the others take what it held.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from django.db import connections
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from ..contract.slices import slices
from ..models.tables import PendingChange, index_database
from ..models.transactions import in_transaction
from .outbox import holders, is_free, object_changes
from .processes import HEARTBEAT, process_name

__all__ = ["SIZE", "Share"]

#: The most objects of a share, and of one transaction that writes.
SIZE = 500

#: The fewest objects of a share, if so many are left.
_LEAST = 50

_SLICE = 500


class Share:
    """The rows of an index's outbox that one drain works on.

    Args:
        index_name: the name of the index.
    """

    def __init__(self, index_name: str) -> None:
        self._index_name = index_name
        # Two drains of one process, in two threads, have different names.
        self._holder = f"{process_name()}/{uuid4().hex[:8]}"
        self._last_beat = time.monotonic()
        self._is_empty = True

    def take(self, due: Q) -> list[tuple[int, str]]:
        """Return the primary keys and object keys of the rows to work on, those left over first.

        Args:
            due: the condition of the rows that may be taken. Other rows of the same objects come
                with them.
        """
        rows = [] if self._is_empty else self._held()
        if not rows and object_changes(self._index_name).filter(due).exists():
            rows = in_transaction(lambda: self._take(due), index_database())
        self._is_empty = not rows
        return rows

    def keep(self) -> None:
        """Note that this drain still works, unless it was noted a short time ago."""
        now = time.monotonic()
        if now - self._last_beat > HEARTBEAT:
            self._note_time()

    def give_back(self) -> None:
        """Leave the rows that were not written to other drains."""
        self._own().update(holder="", holder_seen=None)

    def _take(self, due: Q) -> list[tuple[int, str]]:
        # On SQLite, a transaction that reads first may be refused when it writes.
        self._note_time()
        others, ended = holders(self._index_name)
        free, rows = is_free(ended), object_changes(self._index_name)
        # That no other drain holds an object must be known in the statement that reads its rows.
        # A drain that takes the object later then also reads it later than this one.
        held = rows.exclude(free).filter(object_key=OuterRef("object_key"))
        rows = rows.filter(free).exclude(Exists(held)).order_by("pk")
        size = _size(rows.filter(due), len(others))
        if connections[index_database()].features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        first = dict(rows.filter(due).values_list("pk", "object_key")[:size])
        if not first:
            return []
        keys = set(first.values())
        waiting = rows.exclude(due).filter(object_key__in=keys).values_list("pk", flat=True)
        now = timezone.now()
        for pks in slices([*first, *waiting], _SLICE):
            taken = PendingChange.objects.filter(free, pk__in=pks)
            taken.update(holder=self._holder, holder_seen=now)
        return self._held()

    def _held(self) -> list[tuple[int, str]]:
        return list(self._own().order_by("pk").values_list("pk", "object_key"))

    def _note_time(self) -> None:
        self._last_beat = time.monotonic()
        self._own().update(holder_seen=timezone.now())

    def _own(self) -> Any:
        return PendingChange.objects.filter(index=self._index_name, holder=self._holder)


def _size(rows: Any, others: int) -> int:
    """Return the size of the next share: towards the end, half of a drain's part of the rest.

    So the drains end at about the same time (guided self-scheduling).
    """
    if not others:
        return SIZE
    parts = 2 * (others + 1)
    left: int = rows[: parts * SIZE].count()
    return min(SIZE, max(_LEAST, -(-left // parts)))
