"""Shares of an index's outbox, so that any number of processes write its changes together.

A drain takes the rows of some objects as its share: it notes its name in them, embeds and writes
the objects, and takes the next share. Other drains leave these rows alone, and leave alone all
other rows of the same objects, since the texts that were read last must be written last. If a
process ends early, the others take what it held.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from django.db import Error, connections
from django.db.models import Q
from django.utils import timezone

from ..contract.slices import slices
from ..models.sessions import again_if_lost
from ..models.tables import PendingChange, index_database
from ..models.transactions import in_transaction
from .outbox import holders, object_changes
from .processes import HEARTBEAT, process_name

__all__ = ["SIZE", "Share"]

logger = logging.getLogger(__name__)

#: The most rows of a share, and about the most objects of one transaction that writes.
SIZE = 512

#: The fewest rows of a share, if so many are left. Shares are multiples of it, so that objects
#: of one chunk each fill the batches of most embedding backends.
_LEAST = 64

_SLICE = 512


class Share:
    """The rows of an index's outbox that one drain works on.

    Args:
        index_name: the name of the index.
    """

    def __init__(self, index_name: str) -> None:
        self._index_name = index_name
        #: The drain's name. Two drains of one process, in two threads, have different names.
        self.holder = f"{process_name()}#{uuid4().hex[:8]}"
        self._last_beat = time.monotonic()
        self._may_hold = False

    def take(self, moment: dt.datetime) -> list[tuple[int, str]]:
        """Return the primary keys and object keys of the rows to work on, those left over first.

        Args:
            moment: when a row that has failed must have been due. Other rows of the same objects
                come with those that are taken.
        """
        if self._may_hold and (rows := self._held()):
            return rows
        self._may_hold = False
        while chosen := self._choose(moment):
            self._may_hold = True
            in_transaction(lambda: self._hold(chosen), index_database())  # runs here
            if rows := self._held():
                return rows
            # Other drains were faster, and have taken all of these rows.
        return []

    def keep(self) -> None:
        """Note that this drain still works, unless it was noted a short time ago."""
        now = time.monotonic()
        if self._may_hold and now - self._last_beat > HEARTBEAT:
            self._last_beat = now
            self.rows().update(holder_seen=timezone.now())

    def give_back(self) -> None:
        """Leave the rows that were not written to other drains."""
        if not self._may_hold:
            return
        try:
            again_if_lost(self.rows().update)(holder=None, holder_seen=None)
        except Error as error:  # this runs after an error, which must be raised
            logger.warning("Changes of %s wait for some minutes: %s", self._index_name, error)

    def rows(self) -> Any:
        """Return the rows of the outbox that this drain holds."""
        return PendingChange.objects.filter(index=self._index_name, holder=self.holder)

    def _choose(self, moment: dt.datetime) -> list[int]:
        """Return the primary keys of rows that no drain holds.

        That no other drain holds an object must be known in the statement that reads its rows. A
        drain that takes the object later then also reads it later than this one.
        """
        others, ended = holders(self._index_name)
        self._free(ended)
        rows = object_changes(self._index_name)
        held = PendingChange.objects.filter(index=self._index_name, holder__isnull=False)
        # Drains hold few rows, so these are read once. SQLite without statistics would read all of
        # them again for each row of a correlated subquery.
        free = rows.filter(holder=None).exclude(object_key__in=held.values("object_key"))
        due = Q(attempts=0) | Q(next_attempt__lte=moment)
        # In the order of the database's index, and in no other: it would sort all rows for each
        # share, or all that became due at one moment.
        first = free.filter(due).order_by("next_attempt")
        chosen = dict(first.values_list("pk", "object_key")[: _size(rows, due, others)])
        keys = set(chosen.values())
        later = free.filter(attempts__gt=0, next_attempt__gt=moment, object_key__in=keys)
        return [*chosen, *(later.values_list("pk", flat=True) if keys else ())]

    def _free(self, ended: Mapping[str, dt.datetime | None]) -> None:
        """Free the rows of drains that have ended, unless one has given a sign of life since."""
        for holder, seen in ended.items():
            rows = PendingChange.objects.filter(index=self._index_name, holder=holder)
            unseen = Q(holder_seen=None) if seen is None else Q(holder_seen__lte=seen)
            rows.filter(unseen).update(holder=None, holder_seen=None)

    def _hold(self, chosen: Sequence[int]) -> None:
        now = timezone.now()
        has_skip_locked = connections[index_database()].features.has_select_for_update_skip_locked
        for pks in slices(chosen, _SLICE):
            rows = PendingChange.objects.filter(pk__in=pks, holder=None)
            if has_skip_locked:
                locked = rows.order_by("pk").select_for_update(skip_locked=True)
                rows = rows.filter(pk__in=list(locked.values_list("pk", flat=True)))
            rows.update(holder=self.holder, holder_seen=now)

    def _held(self) -> list[tuple[int, str]]:
        return list(self.rows().order_by("pk").values_list("pk", "object_key"))


def _size(rows: Any, due: Q, others: Sequence[str]) -> int:
    """Return the size of the next share: towards the end, half of a drain's part of the rest.

    So the drains end at about the same time (guided self-scheduling).
    """
    if not others:
        return SIZE
    parts = 2 * (len(others) + 1)
    left: int = rows.filter(due, holder=None)[: parts * SIZE].count()
    return min(SIZE, _LEAST * -(-left // (parts * _LEAST)))
