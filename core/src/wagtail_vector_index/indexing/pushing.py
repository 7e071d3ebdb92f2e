"""Tells a vector backend outside this process what changed in the record."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..exceptions import CollectionNotFound
from ..models.record import Collection
from .reading import batch_of, deleted_after, live_documents, written_after

if TYPE_CHECKING:
    from ..backends.base import VectorBackend

logger = logging.getLogger(__name__)


def push(collection: Collection, backend: VectorBackend) -> None:
    """Bring a backend up to the collection's revision; does nothing if it is there.

    A collection that the backend has lost is made again, and filled from the record.

    Raises:
        BackendError: the revision that the backend has reached stays as it was, so that
            the next push begins there again.
    """
    try:
        _push(collection, backend)
    except CollectionNotFound:
        logger.warning("%r has lost %s, which is filled again.", backend, collection)
        Collection.objects.filter(pk=collection.pk).update(applied_revision=0)
        _push(collection, backend)


def _push(collection: Collection, backend: VectorBackend) -> None:
    own_row = Collection.objects.filter(pk=collection.pk)
    while True:
        applied, revision = own_row.values_list("applied_revision", "revision").get()
        if backend.persistent:
            if not applied:
                backend.create(collection.spec)
            if applied < revision:
                _send(collection, backend, applied)
        if applied >= revision:
            return
        own_row.filter(applied_revision__lt=revision).update(applied_revision=revision)


def _send(collection: Collection, backend: VectorBackend, applied: int) -> None:
    for batch in written_after(collection, applied):
        backend.upsert(collection.spec, batch)
    if applied:
        backend.delete(collection.spec, deleted_after(collection, applied))


def sweep(collection: Collection, backend: VectorBackend) -> None:
    """Make a backend hold exactly the live documents, if the counts tell that it doesn't.

    A late push can leave a document behind that was deleted meanwhile. Searches drop
    such ghosts; here they go.
    """
    if not backend.persistent:
        return
    expected = live_documents(collection).count()
    if backend.count(collection.spec) == expected:
        return
    live = set(live_documents(collection).values_list("pk", flat=True).iterator())
    held = set()
    for batch in backend.scan(collection.spec):
        held.update(batch.uuids)
    backend.delete(collection.spec, held - live)
    for batch in batch_of(collection, list(live - held)):
        backend.upsert(collection.spec, batch)
