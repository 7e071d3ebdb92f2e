"""Sends changes in the index tables to a vector backend outside this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from ..backends.base import VectorBackend
from ..contract.echoes import hide_content
from ..contract.records import RecordBatch
from ..contract.slices import slices
from ..exceptions import CollectionNotFound
from ..models.tables import Collection, Document
from .batches import batch_of, live_among, live_documents, pages, written_after
from .keeping import drop_applied
from .measuring import measure_again, optimize
from .ownership import is_foreign
from .verifying import must_be_verified, replace, verify

logger = logging.getLogger(__name__)

#: After about this number of documents, a push notes how far it is.
_STEP = 10_000

#: How many ids are compared at once.
_SLICE = 500

#: So many revisions are pushed together, however many documents they have written.
_FEW_REVISIONS = 5


def _ignore_count(count: int) -> None:
    pass


def push(
    collection: Collection, backend: VectorBackend, pushed: Callable[[int], None] = _ignore_count
) -> None:
    """Bring a backend up to the collection's revision, unless it is at that revision already.

    A collection that belongs to another site stays as it is.

    If the backend has lost the collection, it is created again and filled from the index
    tables. Embeddings that the collection does not keep are dropped once the backend has them.
    Such a collection is only filled again by `complete` and `reconcile`, since its texts must be
    embedded again, which may be expensive.

    Args:
        collection: the collection.
        backend: the backend that serves the collection.
        pushed: called after each batch with the number of documents that were sent.

    Raises:
        CollectionNotFound: the backend has lost the collection, which does not keep embeddings.
        BackendError: the backend failed. Its stored revision stays as it was, so that the next
            push begins there again.
    """
    _or_refill(_push, collection, backend, pushed, embeds=False)


def sweep(
    collection: Collection, backend: VectorBackend, pushed: Callable[[int], None] = _ignore_count
) -> None:
    """Push, and make the backend contain exactly the live documents.

    A late push can leave documents in the backend that were deleted in the meantime. Searches
    ignore such ghosts; a sweep deletes them. The arguments and errors are those of `push`.
    """
    _or_refill(partial(_sweep, embeds=False), collection, backend, pushed, embeds=False)


def complete(
    collection: Collection, backend: VectorBackend, pushed: Callable[[int], None] = _ignore_count
) -> None:
    """Push, make the backend contain exactly the live documents, and prepare it for searches.

    A collection that the backend has lost since the last push is filled again. The arguments and
    errors are those of `push`.
    """
    _or_refill(_complete, collection, backend, pushed)


def reconcile(
    collection: Collection, backend: VectorBackend, pushed: Callable[[int], None] = _ignore_count
) -> None:
    """Sweep, and verify what was sent if the service failed or was started again meanwhile.

    If the collection has grown by half, its recall is measured again.

    The arguments and errors are those of `push`.
    """
    _or_refill(_reconcile, collection, backend, pushed)


def purge(
    collection: Collection, backend: VectorBackend, pushed: Callable[[int], None] = _ignore_count
) -> None:
    """Sweep, and delete what is in no live document even if not everything can be sent.

    The arguments and errors are those of `push`.
    """
    _or_refill(_purge, collection, backend, pushed, embeds=False)


def _or_refill(
    action: Callable[[Collection, VectorBackend, Callable[[int], None]], None],
    collection: Collection,
    backend: VectorBackend,
    pushed: Callable[[int], None],
    *,
    embeds: bool = True,
) -> None:
    if is_foreign(collection, backend):
        return
    try:
        action(collection, backend, pushed)
    except CollectionNotFound as error:
        if not (embeds or collection.keep_embeddings):
            raise CollectionNotFound(
                f"{backend!r} has lost {collection}, and {collection.index} does not keep"
                " embeddings. To embed its texts again, run: manage.py update_vector_indexes"
                f" {collection.index}"
            ) from error
        logger.warning("%r has lost %s. It is filled again.", backend, collection)
        Collection.objects.filter(pk=collection.pk).update(applied_revision=0, sent_revision=0)
        _push(collection, backend, pushed)
        optimize(collection, backend)
    drop_applied(collection, backend)


def _push(collection: Collection, backend: VectorBackend, pushed: Callable[[int], None]) -> None:
    own_row = Collection.objects.filter(pk=collection.pk)
    cleared = 0
    while True:
        applied, sent, revision = own_row.values_list(
            "applied_revision", "sent_revision", "revision"
        ).get()
        if backend.persistent:
            if not applied:
                backend.create(collection.spec)
            if not sent:
                own_row.update(service_run=backend.service_run())
            if applied < revision:
                last = revision
                if revision - applied > _FEW_REVISIONS:
                    revision = _next_stop(collection, applied, revision)
                own_row.filter(sent_revision__lt=revision).update(sent_revision=revision)
                if applied or sent:
                    _delete_gone(collection, backend, max(applied, cleared), last)
                    cleared = last
                _send(collection, backend, applied, sent, revision, pushed)
        if applied >= revision:
            return
        own_row.filter(applied_revision__lt=revision).update(applied_revision=revision)
        drop_applied(collection, backend)


def _next_stop(collection: Collection, applied: int, revision: int) -> int:
    """Return the revision to push to next.

    With few changes, it is the collection's revision. A long push stops on its way there, so that
    it can go on from there after an interruption, and embeddings can be dropped.
    """
    documents = live_documents(collection).filter(revision__gt=applied).order_by("revision")
    revisions = documents.values_list("revision", flat=True)
    return min(revision, next(iter(revisions[_STEP : _STEP + 1]), revision))


@contextmanager
def _content_hidden(batch: RecordBatch) -> Iterator[None]:
    """Leave the metadata of records out of the errors of a backend, which may quote it."""
    try:
        yield
    except Exception as error:
        hide_content(error, batch.metadata)
        raise


def _send(
    collection: Collection,
    backend: VectorBackend,
    applied: int,
    sent: int,
    revision: int,
    pushed: Callable[[int], None],
) -> None:
    """Send the documents written after the revision that is applied, up to a revision.

    Those up to the revision ``sent`` were sent before, and nobody knows how that ended: the
    process, the service or the network between them may have failed in the middle. So these
    records are deleted before they are sent again.
    """
    if sent > applied:
        must_be_verified(collection)
        for batch in written_after(collection, applied, until=min(sent, revision)):
            with _content_hidden(batch):
                replace(collection, backend, batch)
            pushed(len(batch))
    for batch in written_after(collection, max(applied, sent), until=revision):
        with _content_hidden(batch):
            backend.upsert(collection.spec, batch)
        pushed(len(batch))


def _delete_gone(collection: Collection, backend: VectorBackend, after: int, until: int) -> None:
    """Delete the documents that were deleted after a revision, up to another one.

    This comes before anything is sent, so that a backend that accepts no more records still loses
    those that nobody may find. Ids are never used again, so the order does not matter otherwise.
    """
    gone = Document.objects.filter(
        collection=collection, revision__lte=until, deleted_at__isnull=False
    )
    for page in pages(gone, ("pk", "revision"), after=after, size=_STEP):
        backend.delete(collection.spec, [id for id, _ in page])


def _reconcile(
    collection: Collection, backend: VectorBackend, pushed: Callable[[int], None]
) -> None:
    _sweep(collection, backend, pushed)
    verify(collection, backend)
    measure_again(collection, backend)


def _complete(
    collection: Collection, backend: VectorBackend, pushed: Callable[[int], None]
) -> None:
    _sweep(collection, backend, pushed)
    if backend.persistent:
        optimize(collection, backend)


def _sweep(
    collection: Collection,
    backend: VectorBackend,
    pushed: Callable[[int], None],
    *,
    embeds: bool = True,
) -> None:
    _push(collection, backend, pushed)
    if (
        not backend.persistent
        or backend.count(collection.spec) == live_documents(collection).count()
    ):
        return
    before = live_documents(collection).count()
    found = _delete_ghosts(collection, backend)
    is_complete = found >= max(before, live_documents(collection).count())
    for page in () if is_complete else _pages_of_ids(collection):
        held = set(backend.get(collection.spec, page).uuids)
        missing = [id for id in page if id not in held]
        for batch in batch_of(collection, missing, embed=embeds):
            replace(collection, backend, batch)
            pushed(len(batch))


def _purge(collection: Collection, backend: VectorBackend, pushed: Callable[[int], None]) -> None:
    try:
        _sweep(collection, backend, pushed, embeds=False)
    except CollectionNotFound:
        raise
    except Exception:  # a backend may raise anything
        if backend.persistent:
            _delete_ghosts(collection, backend)
        raise


def _delete_ghosts(collection: Collection, backend: VectorBackend) -> int:
    """Delete what is in no live document; return how many live documents the backend has.

    The backend is read before the index tables. A document that is pushed in the meantime is then
    found live, and not taken for a ghost. Memory does not grow with the collection.
    """
    found, ghosts = 0, list[UUID]()
    for batch in backend.scan(collection.spec):
        live: set[UUID] = set()
        for some in slices(batch.uuids, _SLICE):
            live.update(live_among(collection, some))
        found += len(live)
        ghosts += [id for id in batch.uuids if id not in live]
    backend.delete(collection.spec, ghosts)
    return found


def _pages_of_ids(collection: Collection) -> Iterator[list[UUID]]:
    for page in pages(live_documents(collection), ("pk", "revision"), after=0, size=_SLICE):
        yield [id for id, _ in page]
