"""The sources of an answer: the objects that were found, with their chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..contract.sansio import Steps
from ..models.tables import Document
from ..search.chunks import chunk_scores
from ..search.results import SearchResults

#: The number of chunks to search for, over all objects, is this times the number of objects.
CHUNKS_PER_OBJECT = 3


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A chunk as it was sent to the chat backend.

    Args:
        number: the number by which the answer cites the chunk, such as ``[1]``.
        text: the chunk's text. It ends in "[…]" if it was cut to fit the model's window.
        score: how near the chunk is to the question, on the scale of the index's metric.
    """

    number: int
    text: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Source:
    """An object that an answer rests on.

    Args:
        object: the page or other object that was found.
        chunks: the chunks that were used, in the order of the text.
    """

    object: Any
    chunks: Sequence[Chunk]

    @property
    def score(self) -> float:
        """The score of the source's best chunk."""
        return max(chunk.score for chunk in self.chunks)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A chunk that may be sent to the chat backend.

    ``is_best`` says that the search found the object by this chunk.
    """

    key: str
    object: Any
    rank: int
    context: str
    content: str
    position: int
    score: float
    is_best: bool


def candidates(results: SearchResults) -> Steps[list[Candidate]]:
    """Return the chunks nearest to the question among the objects found, best first.

    They include the best chunk of each object, by which the search found it. If the objects were
    reranked, these come first, in the order of the objects.
    """
    hits = yield from results.search.steps()
    keys = [hit.key for hit in hits]
    ranks = {key: rank for rank, key in enumerate(keys)}
    best = {hit.document: hit.score for hit in hits}
    scores = best | (yield from chunk_scores(results.search, keys, CHUNKS_PER_OBJECT * len(keys)))
    documents = list(Document.objects.filter(pk__in=list(scores), deleted_at=None))
    # The objects are loaded last. This leaves out objects that the visitor may no longer see.
    objects = {results.search.index.key_of(instance): instance for instance in results}
    found = [
        Candidate(
            key=document.object_key,
            object=objects[document.object_key],
            rank=ranks[document.object_key],
            context=document.context,
            content=document.content,
            position=document.position,
            score=scores[document.pk],
            is_best=document.pk in best,
        )
        for document in documents
        if document.object_key in objects
    ]
    found.sort(key=lambda candidate: -candidate.score)
    if results.search.index.reranking_backend is not None:
        found.sort(key=lambda candidate: candidate.rank if candidate.is_best else len(keys))
    return found


def in_order(used: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates in the order in which they are numbered.

    Objects are in the order of the search, and the chunks of an object in the order of its text.
    """
    return sorted(used, key=lambda candidate: (candidate.rank, candidate.position))


def sources(ordered: Sequence[Candidate]) -> list[Source]:
    """Return candidates grouped into sources, with their chunks numbered in this order."""
    chunks: dict[str, list[Chunk]] = {}
    for number, candidate in enumerate(ordered, 1):
        chunk = Chunk(number=number, text=candidate.content, score=candidate.score)
        chunks.setdefault(candidate.key, []).append(chunk)
    objects = {candidate.key: candidate.object for candidate in ordered}
    return [Source(object=objects[key], chunks=tuple(chunks[key])) for key in chunks]
