"""Compares source objects with the record, and puts what differs into the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from ..models.record import Collection, PendingChange, record_database
from .fetching import fetch_to_prepare
from .inserting import insert_rows
from .preparing import prepare, source_hash
from .progress import Progress
from .reading import live_documents

if TYPE_CHECKING:
    from ..indexes import VectorIndex

BATCH_SIZE = 500


def changed_keys(
    index: VectorIndex, collections: Sequence[Collection], progress: Progress
) -> list[str]:
    """The keys of objects whose documents, in any of the collections, are not up to date.

    An object counts as up to date if its `source_hash` is the one it was indexed with.
    """
    keys = index.source_keys()
    recorded = {collection: _recorded(collection) for collection in collections}
    progress.started(index.name, len(keys))
    changed = {key: None for known in recorded.values() for key in known.keys() - set(keys)}
    if any(not known for known in recorded.values()):
        # There is a collection to fill: no need to look which objects it lacks.
        return [*changed, *keys]
    for start in range(0, len(keys), BATCH_SIZE):
        some = keys[start : start + BATCH_SIZE]
        for key, instance in fetch_to_prepare(index, some).items():
            if _differs(index, key, instance, recorded):
                changed[key] = None
        progress.indexed(len(some))
    return list(changed)


def queue(index_name: str, keys: Sequence[str]) -> None:
    """Put objects into the outbox of an index, in place of their rows that wait there.

    A row that waits may be in the hands of another process, which has read the object
    before it changed, or before there was a collection to fill. Without that row it must
    look again.
    """
    wanted = set(keys)
    waiting = PendingChange.objects.filter(index=index_name).values_list("pk", "object_key")
    replaced = [pk for pk, key in waiting if key in wanted]
    now = timezone.now()
    with transaction.atomic(using=record_database()):
        insert_rows(
            PendingChange,
            ("object_key",),
            [(key,) for key in keys],
            same={
                "index": index_name,
                "created_at": now,
                "attempts": 0,
                "last_error": "",
                "next_attempt": now,
            },
        )
        for start in range(0, len(replaced), BATCH_SIZE):
            some = replaced[start : start + BATCH_SIZE]
            PendingChange.objects.filter(pk__in=some).delete_rows()


def _recorded(collection: Collection) -> dict[str, str]:
    documents = live_documents(collection).order_by()
    return dict(documents.values_list("object_key", "source_hash").iterator())


def _differs(
    index: VectorIndex,
    key: str,
    instance: Any,
    recorded: Mapping[Collection, Mapping[str, str]],
) -> bool:
    try:
        current = source_hash(index, instance)
        known = {hashes.get(key) for hashes in recorded.values()}
        if known == {None}:
            # Not indexed: either new, or without any text.
            return bool(prepare(index, instance).documents)
    except Exception:  # noqa: BLE001  # the drain meets the same error again, and keeps it with the object
        return True
    return known != {current}
