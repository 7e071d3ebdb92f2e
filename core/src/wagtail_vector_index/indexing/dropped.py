"""Finds the vectors of documents whose embeddings were dropped.

An index with ``keep_embeddings = False`` keeps a vector only until the vector backend has it. If
the vector is needed later, it comes from the vector backend. If that has lost it, the text is
embedded again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from django.db.models import Min

from ..contract.slices import slices
from ..embeddings.base import EmbeddingBackend
from ..exceptions import CollectionNotFound, ConfigurationError, EmbeddingError, IndexOutdated
from ..models.tables import Collection, Document, Embedding, index_database
from ..models.transactions import in_transaction
from ..plugins.documents import PreparedDocument
from ..plugins.handlers import embedding_backends, vector_backends
from .backend_vectors import held_vectors
from .embedding import embedding_ids
from .failures import error_text
from .plan import Plan

__all__ = ["embed_again", "vectors_of"]

logger = logging.getLogger(__name__)

_SLICE = 500


def _ignore_count(count: int) -> None:
    pass


def vectors_of(
    collection: Collection, ids: Sequence[UUID], *, embed: bool = True
) -> dict[UUID, bytes]:
    """Return the vectors of live documents that have no embedding, as bytes of float32.

    A vector is missing in the result if neither the backend has it nor the text can be embedded.

    Args:
        collection: the collection.
        ids: the ids of the documents.
        embed: whether to embed what the vector backend has lost.

    Raises:
        CollectionNotFound: the vector backend keeps its vectors in this process's memory, so that
            the index tables must have them.
        BackendError, EmbeddingError, IndexOutdated
    """
    backend = vector_backends[collection.vector_backend]
    if not backend.persistent:
        raise CollectionNotFound(
            f"{backend!r} needs the vectors of {collection} from the site's database, which has"
            " dropped them, because keep_embeddings was False."
        )
    found = held_vectors(collection, ids)
    lost = [id for id in ids if id not in found]
    if lost and embed:
        found |= _embedded(collection, lost)
    return found


def embed_again(
    collection: Collection,
    embedder: EmbeddingBackend,
    ids: Sequence[UUID],
    progress: Callable[[int], None] = _ignore_count,
) -> dict[UUID, int]:
    """Give documents embeddings again; return the embeddings' primary keys.

    Vectors that the vector backend has are copied. Texts that cannot be embedded are left out.

    Args:
        collection: the collection of the documents.
        embedder: the embedding backend of the collection's vectors.
        ids: the ids of the documents.
        progress: called with the number of texts embedded.
    """
    by_hash: dict[str, list[UUID]] = defaultdict(list)
    documents = []
    for id, key, context, content in _texts(ids):
        document = PreparedDocument(text=content, context=context, metadata={"object": key})
        by_hash[document.content_hash].append(id)
        documents.append(document)
    errors: dict[str, Exception] = {}
    plan = Plan.of_collection(collection)
    known = embedding_ids(embedder, documents, errors, progress, plan)
    for document in documents:
        if error := errors.get(document.content_hash):
            key = document.metadata["object"]
            logger.warning("%s lacks a vector of %s: %s", collection, key, error_text(error))
    in_transaction(lambda: _refer(collection, by_hash, known), index_database())
    return {id: known[key] for key, some in by_hash.items() if key in known for id in some}


def _texts(ids: Sequence[UUID]) -> Iterable[tuple[UUID, str, str, str]]:
    for some in slices(ids, _SLICE):
        documents = Document.objects.filter(pk__in=some, deleted_at__isnull=True)
        yield from documents.values_list("pk", "object_key", "context", "content")


def _refer(
    collection: Collection, by_hash: Mapping[str, Sequence[UUID]], known: Mapping[str, int]
) -> None:
    """Let documents refer to embeddings, unless they were deleted in the meantime.

    A collection that keeps no embeddings drops these again after the next push.
    """
    row = Collection.objects.filter(pk=collection.pk, keep_embeddings=False)
    for key, ids in by_hash.items():
        if key not in known:
            continue
        for some in slices(ids, _SLICE):
            documents = Document.objects.filter(pk__in=some, deleted_at__isnull=True)
            documents.update(embedding=known[key])
            first = documents.aggregate(first=Min("revision"))["first"]
            if first is not None:
                row.filter(dropped_revision__gte=first).update(dropped_revision=first - 1)


def _embedded(collection: Collection, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Embed the texts of documents again, and return their vectors.

    The embeddings stay until they are dropped again, so that nothing is paid for twice if the
    backend fails next.
    """
    logger.info("%d texts of %s are embedded again.", len(ids), collection)
    known = embed_again(collection, _embedder_of(collection), ids)
    vectors: dict[int, bytes] = {}
    for some in slices(list(set(known.values())), _SLICE):
        vectors.update(Embedding.objects.filter(pk__in=some).values_list("pk", "vector"))
    return {id: bytes(vectors[pk]) for id, pk in known.items() if pk in vectors}


def _embedder_of(collection: Collection) -> EmbeddingBackend:
    """Return an embedding backend of the settings whose vectors compare with a collection's.

    Raises:
        IndexOutdated: the settings have none.
        EmbeddingError: none is known, since only a service that failed knows its dimensions.
    """
    failures = []
    for alias in embedding_backends:
        try:
            with suppress(ConfigurationError):
                if embedding_backends[alias].fingerprint == collection.fingerprint:
                    return embedding_backends[alias]
        except EmbeddingError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    raise IndexOutdated(
        f"{collection} has lost vectors, and its embedding model {collection.fingerprint!r} is no"
        " longer in the settings. Run: manage.py update_vector_indexes"
        f" {collection.index} --rebuild"
    )
