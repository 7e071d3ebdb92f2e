"""Puts changes and promises of changes into the outbox."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Max, Q
from django.utils import timezone

from ..contract.slices import slices
from ..models.tables import PendingChange, index_database
from ..models.transactions import in_transaction
from .bulk_insert import insert_rows
from .processes import is_at_work

#: How long a promise waits for its save. After that, it counts as a change.
PROMISE_LIFE = dt.timedelta(minutes=5)

_SLICE = 500


def changes_of(index_name: str) -> Any:
    """Return the rows of an index's outbox, without promises whose save may still be running."""
    now = timezone.now()
    waits = Q(next_attempt__gt=now, next_attempt__lte=now + PROMISE_LIFE)
    return PendingChange.objects.filter(Q(promise=None) | ~waits, index=index_name)


def object_changes(index_name: str) -> Any:
    """Return the rows of `changes_of` that stand for one object each."""
    return changes_of(index_name).filter(scope=PendingChange.Scope.OBJECT)


def holders(index_name: str) -> tuple[list[str], dict[str, dt.datetime | None]]:
    """Return the drains that hold rows of an index's outbox.

    Whether a drain of another machine has ended is only known some minutes later.

    Returns:
        the drains that are at work, and the last heartbeats of the drains that have ended.
    """
    held = PendingChange.objects.filter(index=index_name, holder__isnull=False).order_by()
    at_work: list[str] = []
    ended: dict[str, dt.datetime | None] = {}
    for holder, seen in held.values_list("holder").annotate(Max("holder_seen")):
        if is_at_work(holder.partition("#")[0], seen):
            at_work.append(holder)
        else:
            ended[holder] = seen
    return at_work, ended


def append(
    index_name: str,
    keys: Sequence[str],
    scope: PendingChange.Scope = PendingChange.Scope.OBJECT,
    promise: UUID | None = None,
) -> None:
    """Add a change of each of these objects to the outbox of an index.

    Args:
        index_name: the name of the index.
        keys: the keys of the objects.
        scope: the objects that each key stands for.
        promise: the id of a save that has not happened yet. Its rows wait for `withdraw`.
    """
    now = timezone.now()
    insert_rows(
        PendingChange,
        ("object_key",),
        [(key,) for key in keys],
        same={
            "index": index_name,
            "scope": scope,
            "created_at": now,
            "attempts": 0,
            "last_error": "",
            "next_attempt": now if promise is None else now + PROMISE_LIFE,
            "promise": promise,
        },
    )


def withdraw(promise: UUID) -> None:
    """Delete the rows of a promise, whose changes the caller adds in the same transaction."""
    PendingChange.objects.filter(promise=promise).delete_rows()


def queue(index_name: str, keys: Sequence[str]) -> None:
    """Put objects into the outbox of an index, replacing their rows that wait there.

    Rows that a drain holds stay, beside the new ones. The drain may have read the object before it
    changed, or before there was a collection to fill. Afterwards, the new row has the object read
    again.

    The new row is due at once. It keeps the age of the oldest old row, the number of failures and
    the last error. Promises stay.
    """
    for some in slices(list(keys), _SLICE):
        in_transaction(partial(_replace, index_name, some), index_database())


def queue_batches(index_name: str, batches: Iterable[Sequence[str]]) -> None:
    """Put batches of objects into the outbox, like `queue`, each before the next one is read."""
    for keys in batches:
        queue(index_name, keys)


def _replace(index_name: str, keys: Sequence[str]) -> None:
    now = timezone.now()
    waiting = object_changes(index_name).filter(holder=None, promise=None, object_key__in=keys)
    known = dict.fromkeys(keys, (now, 0, ""))
    replaced = []
    rows = waiting.values_list("pk", "object_key", "created_at", "attempts", "last_error")
    # Sorted here: SQLite would read all rows in that order, rather than find and sort these.
    for pk, key, created_at, attempts, error in sorted(rows.order_by()):
        if key in known:  # some databases take keys for equal that are not
            replaced.append(pk)
            earliest, most, last_error = known[key]
            known[key] = min(earliest, created_at), max(most, attempts), error or last_error
    insert_rows(
        PendingChange,
        ("object_key", "created_at", "attempts", "last_error"),
        [(key, *facts) for key, facts in known.items()],
        same={
            "index": index_name,
            "scope": PendingChange.Scope.OBJECT,
            "next_attempt": now,
            "promise": None,
        },
    )
    for some in slices(replaced, _SLICE):
        # A drain may have taken some since they were read.
        PendingChange.objects.filter(pk__in=some, holder=None).delete_rows()
