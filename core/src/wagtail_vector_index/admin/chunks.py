"""A search for the chunks that match a query, rather than for the objects they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from wagtail.admin.admin_url_finder import AdminURLFinder

from ..content.object_keys import object_key
from ..contract.sansio import run
from ..indexes import VectorIndex
from ..models.tables import Document
from ..search.chunks import chunk_scores
from ..search.hybrid_search import Mode

_OBJECTS = 10
_CHUNKS = 30


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """One chunk of an object, with its score."""

    source: Any
    edit_url: str | None
    number: int
    content: str
    score: float


def matching_chunks(
    index: VectorIndex,
    query: str,
    request: HttpRequest,
    *,
    as_visitor: bool = False,
    mode: Mode = "vector",
    threshold: float | None = None,
) -> list[Chunk]:
    """Return the best chunks of the objects that a search finds.

    They are in the order of their scores or, in hybrid mode or with a reranking backend, of the
    objects.

    Args:
        index: the index to search.
        query: the text to search for.
        request: the request; only objects that its user may see are found.
        as_visitor: whether to find only what an anonymous visitor may see.
        mode: the mode of the search.
        threshold: the lowest score.

    Raises:
        VectorIndexError: for the same reasons as a search.
    """
    found = index.search(
        query,
        limit=_OBJECTS,
        request=None if as_visitor else request,
        mode=mode,
        similarity_threshold=threshold,
    )
    hits = run(found.search.steps())
    scores = {hit.document: hit.score for hit in hits}
    scores |= run(chunk_scores(found.search, [hit.key for hit in hits], _CHUNKS))
    documents = Document.objects.filter(deleted_at=None).in_bulk(list(scores))
    # The objects are loaded last. This leaves out objects that the visitor may no longer see.
    objects = {object_key(instance): instance for instance in found}
    finder = AdminURLFinder(request.user)
    chunks = [
        Chunk(
            source=objects[document.object_key],
            edit_url=finder.get_edit_url(objects[document.object_key]),
            number=document.position + 1,
            content=document.content,
            score=score,
        )
        for id, score in scores.items()
        if (document := documents.get(id)) is not None and document.object_key in objects
    ]
    chunks.sort(key=lambda chunk: -chunk.score)
    if mode == "hybrid" or index.reranking_backend is not None:
        ranks = {hit.key: rank for rank, hit in enumerate(hits)}
        chunks.sort(key=lambda chunk: ranks[object_key(chunk.source)])
    return chunks
