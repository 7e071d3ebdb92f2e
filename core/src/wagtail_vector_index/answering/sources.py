"""The sources of an answer: the objects that were found, with their chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ..contract.sansio import Steps
from ..models.tables import Document
from ..search.chunks import chunk_scores
from ..search.excerpts import terms_in
from ..search.hybrid_search import HybridSearch
from ..search.results import SearchResults

#: The number of chunks to choose by their scores, over all objects, is this times the number of
#: objects.
CHUNKS_PER_OBJECT = 3

#: The number of chunks, over all objects, in which to look for the words of the question after a
#: hybrid search, which takes about a tenth of a second.
_READ_FOR_WORDS = 100


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
    """A chunk that may be sent to the chat backend."""

    key: str
    object: Any
    rank: int
    context: str
    content: str
    position: int
    score: float


def candidates(results: SearchResults) -> Steps[list[Candidate]]:
    """Return the chunks nearest to the question among the objects found, best first.

    They include the best chunk of each object, by which the search found it. After a hybrid
    search, and if the objects were reranked, these come first, in the order of the objects. After
    a hybrid search, the chunks that have most other words of the question come next.
    """
    search = results.search
    hits = yield from search.steps()
    keys = [hit.key for hit in hits]
    ranks = {key: rank for rank, key in enumerate(keys)}
    best = {hit.document: hit.score for hit in hits}
    count = CHUNKS_PER_OBJECT * len(keys)
    is_hybrid = isinstance(search, HybridSearch)
    near = yield from chunk_scores(
        search, keys, max(count, _READ_FOR_WORDS) if is_hybrid else count
    )
    scores = best | near
    live = Document.objects.filter(deleted_at=None).in_bulk(list(scores))
    documents = {id: live[id] for id in scores if id in live}
    first = [id for id in best if id in documents]
    if is_hybrid:
        first += _with_other_words(documents, first, search.text)
    chosen = [id for id in dict.fromkeys([*first, *list(near)[:count]]) if id in documents]
    if not is_hybrid and search.index.reranking_backend is None:
        chosen.sort(key=lambda id: -scores[id])
    # The objects are loaded last. This leaves out objects that the visitor may no longer see.
    objects = {search.index.key_of(instance): instance for instance in results}
    return [
        Candidate(
            key=document.object_key,
            object=objects[document.object_key],
            rank=ranks[document.object_key],
            context=document.context,
            content=document.content,
            position=document.position,
            score=scores[document.pk],
        )
        for document in map(documents.__getitem__, chosen)
        if document.object_key in objects
    ]


def _with_other_words(
    documents: Mapping[UUID, Document], best: Iterable[UUID], question: str
) -> list[UUID]:
    """Return the chunk of each object that has most words of the question which its best lacks.

    The best chunk is the nearest in meaning. An object that was found by its words may have them
    in another one.
    """
    terms = {id: terms_in(document.content, question) for id, document in documents.items()}
    of_object: dict[str, list[UUID]] = {}
    for id, document in documents.items():
        of_object.setdefault(document.object_key, []).append(id)
    return [
        max(of_object[documents[id].object_key], key=lambda one: len(terms[one] - terms[id]))
        for id in best
    ]


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
