"""Puts changes into the outbox."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from ..models.record import PendingChange, record_database
from .inserting import insert_rows

_SLICE = 500


def append(
    index_name: str, keys: Sequence[str], scope: PendingChange.Scope = PendingChange.Scope.OBJECT
) -> None:
    """Add a change of each of these objects to the outbox of an index."""
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
            "next_attempt": now,
        },
    )


def queue(index_name: str, keys: Sequence[str]) -> None:
    """Put objects into the outbox of an index, in place of their rows that wait there.

    A row that waits may be in the hands of another process, which has read the object
    before it changed, or before there was a collection to fill. Without that row it must
    look again.
    """
    wanted = set(keys)
    waiting = PendingChange.objects.filter(index=index_name, scope=PendingChange.Scope.OBJECT)
    replaced = [pk for pk, key in waiting.values_list("pk", "object_key") if key in wanted]
    with transaction.atomic(using=record_database()):
        append(index_name, keys)
        for start in range(0, len(replaced), _SLICE):
            some = replaced[start : start + _SLICE]
            PendingChange.objects.filter(pk__in=some).delete_rows()
