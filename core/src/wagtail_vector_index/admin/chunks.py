"""A search for objects and for the chunks of theirs that match a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import override
from wagtail.admin.admin_url_finder import AdminURLFinder

from ..content.titles import title_of
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

    number: int
    content: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object that a search found, with its score and its best chunks, best first.

    Args:
        source: the object.
        edit_url: where the user can edit it; None if they may not.
        score: the object's score, which a threshold compares. It mixes those of its chunks.
        chunks: the best chunks.
    """

    source: Any
    edit_url: str | None
    score: float
    chunks: list[Chunk]

    @property
    def title(self) -> str:
        """The object's title."""
        return title_of(self.source)


def objects_found(
    index: VectorIndex,
    query: str,
    request: HttpRequest,
    *,
    as_visitor: bool = False,
    mode: Mode = "vector",
    threshold: float | None = None,
    language: str | None = None,
) -> list[Found]:
    """Return the objects that a search finds, in its order, with their best chunks.

    Args:
        index: the index to search.
        query: the text to search for.
        request: the request; only objects that its user may see are found.
        as_visitor: whether to find only what an anonymous visitor may see.
        mode: the mode of the search.
        threshold: the lowest score of an object.
        language: the language of stop words and of forms of words; by default that of the site,
            since the active one is the editor's.

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
    with override(language or settings.LANGUAGE_CODE):
        hits = run(found.search.steps())
    scores = {hit.document: hit.score for hit in hits}
    scores |= run(chunk_scores(found.search, [hit.key for hit in hits], _CHUNKS))
    documents = Document.objects.filter(deleted_at=None).in_bulk(list(scores))
    chunks: dict[str, list[Chunk]] = {}
    for id, score in sorted(scores.items(), key=lambda item: -item[1]):
        if document := documents.get(id):
            chunk = Chunk(number=document.position + 1, content=document.content, score=score)
            chunks.setdefault(document.object_key, []).append(chunk)
    finder = AdminURLFinder(request.user)
    # The objects are loaded last. This leaves out objects that the visitor may no longer see.
    return [
        Found(
            source=instance,
            edit_url=finder.get_edit_url(instance),
            score=instance.vector_score,
            chunks=chunks.get(index.key_of(instance), []),
        )
        for instance in found
    ]
