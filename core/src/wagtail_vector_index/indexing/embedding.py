"""Embeds the texts that the index tables do not know yet. Each text is embedded once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from operator import itemgetter
from typing import Any

from django.utils import timezone

from ..contract.slices import slices
from ..embeddings.base import EmbeddingBackend
from ..models.tables import Embedding
from ..plugins.documents import PreparedDocument
from .bulk_insert import insert_rows
from .failures import hide_content

_LOOKUP_SIZE = 500


def embedding_ids(
    embedder: EmbeddingBackend,
    documents: Iterable[PreparedDocument],
    errors: dict[str, Exception],
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, int]:
    """Return the primary keys of the documents' embeddings, by content hash.

    Missing embeddings are made, and stored batch by batch. After an interruption, at most one
    batch is paid for twice.

    Args:
        embedder: the embedding backend.
        documents: the documents to embed.
        errors: gets the error of each text that cannot be embedded though the service works, by
            content hash. Such a text has no embedding.
        progress: called with the number of embeddings stored.

    Raises:
        EmbeddingError: embeddings stored before the error are kept.
    """
    texts = {document.content_hash: document.embedded_text for document in documents}
    known = _known(embedder.fingerprint, list(texts))
    missing = {key: text for key, text in texts.items() if key not in known}
    if missing:
        _embed(embedder, missing, errors, progress)
        known |= _known(embedder.fingerprint, list(missing))
    return known


def _embed(
    embedder: EmbeddingBackend,
    texts: dict[str, str],
    errors: dict[str, Exception],
    progress: Callable[[int], None],
) -> None:
    hashes = iter(texts)
    size = 4 * embedder.dimensions
    for vectors in _vectors(embedder, texts.values()):
        if isinstance(vectors, Exception):
            errors[next(hashes)] = vectors
            continue
        rows = list(slices(vectors.tobytes(), size))
        by_hash = {key: row for row, key in zip(rows, hashes, strict=False)}
        insert_rows(
            Embedding,
            ("content_hash", "vector"),
            # Every process inserts in this order, so that no two of them wait for each other.
            sorted(by_hash.items(), key=itemgetter(0)),
            same={"fingerprint": embedder.fingerprint, "created_at": timezone.now()},
            ignore_conflicts=True,
        )
        progress(len(rows))


def _vectors(
    embedder: EmbeddingBackend, texts: Collection[str]
) -> Iterator[memoryview[Any] | Exception]:
    """Yield what `embed_each` yields, with the texts left out of all its errors."""
    try:
        for vectors in embedder.embed_each(texts):
            if isinstance(vectors, Exception):
                hide_content(vectors, texts)
            yield vectors
    except Exception as error:
        hide_content(error, texts)
        raise


def _known(fingerprint: str, hashes: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in slices(hashes, _LOOKUP_SIZE):
        rows = Embedding.objects.filter(fingerprint=fingerprint, content_hash__in=some)
        found.update(rows.values_list("content_hash", "pk"))
    return found
