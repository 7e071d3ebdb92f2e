"""Tells a vector backend outside this process what changed in the record."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..backends.base import VectorBackend
from ..exceptions import CollectionNotFound
from ..models.tables import Collection
from .batches import batch_of, deleted_after, live_documents, written_after

logger = logging.getLogger(__name__)


def _tell_nobody(count: int) -> None:
    pass


def push(
    collection: Collection, backend: VectorBackend, pushed: Callable[[int], None] = _tell_nobody
) -> None:
    """Bring a backend up to the collection's revision; does nothing if it is there.

    A collection that the backend has lost is made again, and filled from the record.

    Args:
        collection: the collection.
        backend: the one that serves it.
        pushed: is told, batch by batch, how many documents were sent.

    Raises:
        BackendError: the revision that the backend has reached stays as it was, so that
            the next push begins there again.
    """
    _or_refill(_push, collection, backend, pushed)


def sweep(collection: Collection, backend: VectorBackend) -> None:
    """Make a backend hold exactly the live documents, if the counts tell that it doesn't.

    A late push can leave a document behind that was deleted meanwhile. Searches drop
    such ghosts; here they go.
    """
    if backend.persistent:
        _or_refill(_sweep, collection, backend, _tell_nobody)


def _or_refill(
    action: Callable[[Collection, VectorBackend, Callable[[int], None]], None],
    collection: Collection,
    backend: VectorBackend,
    pushed: Callable[[int], None],
) -> None:
    try:
        action(collection, backend, pushed)
    except CollectionNotFound:
        logger.warning("%r has lost %s, which is filled again.", backend, collection)
        Collection.objects.filter(pk=collection.pk).update(applied_revision=0)
        _push(collection, backend, pushed)
        backend.optimize(collection.spec)


def _push(collection: Collection, backend: VectorBackend, pushed: Callable[[int], None]) -> None:
    own_row = Collection.objects.filter(pk=collection.pk)
    while True:
        applied, revision = own_row.values_list("applied_revision", "revision").get()
        if backend.persistent:
            if not applied:
                backend.create(collection.spec)
            if applied < revision:
                _send(collection, backend, applied, pushed)
        if applied >= revision:
            return
        own_row.filter(applied_revision__lt=revision).update(applied_revision=revision)


def _send(
    collection: Collection, backend: VectorBackend, applied: int, pushed: Callable[[int], None]
) -> None:
    for batch in written_after(collection, applied):
        backend.upsert(collection.spec, batch)
        pushed(len(batch))
    if applied:
        backend.delete(collection.spec, deleted_after(collection, applied))


def _sweep(collection: Collection, backend: VectorBackend, pushed: Callable[[int], None]) -> None:
    if backend.count(collection.spec) == live_documents(collection).count():
        return
    # What the backend holds is read first: a document that is pushed meanwhile is then
    # live already, and not taken for a ghost.
    held = {id for batch in backend.scan(collection.spec) for id in batch.uuids}
    live = set(live_documents(collection).values_list("pk", flat=True).iterator())
    backend.delete(collection.spec, held - live)
    for batch in batch_of(collection, list(live - held)):
        backend.upsert(collection.spec, batch)
        pushed(len(batch))
