"""Drops the embeddings of indexes that do not keep them, and fetches them back if they do again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import F, QuerySet

from ..backends.base import VectorBackend
from ..content.declaration import IndexDeclaration
from ..embeddings.base import EmbeddingBackend
from ..models.tables import Collection, Document, Embedding, index_database
from ..models.transactions import in_transaction
from .batches import live_documents, pages
from .dropped import embed_again
from .progress import Progress

__all__ = ["drop_applied", "follow"]

logger = logging.getLogger(__name__)

#: How many documents lose or get their embeddings at once.
_SIZE = 500

_COLUMNS = ("pk", "embedding_id", "revision")


def follow(index: IndexDeclaration, collections: Iterable[Collection], progress: Progress) -> None:
    """Let collections of an index keep embeddings, or not, as the index says now.

    Those that keep them again get back what was dropped, from the vector backend. What that does
    not have is embedded again.

    Args:
        index: the index.
        collections: its collections whose vectors its embedding backend makes.
        progress: counts what is embedded.

    Raises:
        BackendUnavailable, EmbeddingError: embeddings that came back before the error stay.
    """
    for collection in collections:
        if collection.keep_embeddings != index.keep_embeddings:
            _switch(collection, keeps=index.keep_embeddings)
        if collection.keep_embeddings and collection.dropped_revision:
            _restore(collection, index.embedder, progress)


def drop_applied(collection: Collection, backend: VectorBackend) -> None:
    """Drop the embeddings of documents that a backend has, unless the collection keeps them.

    An embedding that another document needs stays.
    """
    if collection.keep_embeddings or not backend.persistent:
        return
    own_row = Collection.objects.filter(pk=collection.pk)
    keeps, applied, dropped = own_row.values_list(
        "keep_embeddings", "applied_revision", "dropped_revision"
    ).get()
    if keeps or dropped >= applied:
        return
    held = live_documents(collection).filter(embedding__isnull=False, revision__lte=applied)
    for page in pages(held, _COLUMNS, after=dropped, size=_SIZE):
        ids, embeddings, _ = zip(*page, strict=True)
        if not in_transaction(partial(_drop, own_row, ids), index_database()):
            return
        _delete_unused(embeddings)
    # If embeddings came back in the meantime, the row says so, and they are dropped next time.
    own_row.filter(keep_embeddings=False, dropped_revision=dropped).update(dropped_revision=applied)


def _switch(collection: Collection, *, keeps: bool) -> None:
    # Any embedding may have been dropped until now, or none yet.
    collection.dropped_revision = collection.revision if keeps else 0
    collection.keep_embeddings = keeps
    Collection.objects.filter(pk=collection.pk).update(
        keep_embeddings=keeps, dropped_revision=collection.dropped_revision
    )


def _restore(collection: Collection, embedder: EmbeddingBackend, progress: Progress) -> None:
    dropped = live_documents(collection).filter(embedding__isnull=True)
    is_complete = True
    for page in pages(dropped, ("pk", "revision"), after=0, size=_SIZE):
        ids = [id for id, _ in page]
        found = embed_again(collection, embedder, ids, progress.embedded)
        is_complete &= len(found) == len(ids)
    if is_complete:
        Collection.objects.filter(pk=collection.pk).update(dropped_revision=0)


def _drop(own_row: QuerySet[Any], ids: Sequence[UUID]) -> bool:
    """Take the embeddings from documents, unless their collection keeps embeddings by now."""
    # The update locks the row, so that no other process changes this meanwhile.
    if not own_row.filter(keep_embeddings=False).update(revision=F("revision")):
        return False
    Document.objects.filter(pk__in=ids).update(embedding=None)
    return True


def _delete_unused(embeddings: Sequence[int]) -> None:
    unused = Embedding.objects.filter(pk__in=set(embeddings), documents__isnull=True)
    try:
        in_transaction(unused.delete_rows, index_database())
    except IntegrityError:
        # Another process has just written a document that uses one. The cleaning deletes the rest.
        logger.info("Dropped embeddings were not deleted, because one is in use again.")
