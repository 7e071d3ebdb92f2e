"""What an answer rests on: passages of the objects that were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from ..content.object_keys import object_key
from ..contract.sansio import Steps
from ..exceptions import CollectionNotFound
from ..models.tables import Document
from ..plugins.handlers import vector_backends
from ..search.search import search_call

if TYPE_CHECKING:
    from ..search.results import SearchResults
    from ..search.search import Hit

#: For each object that is found, so many passages are looked for among all of them.
PASSAGES_PER_OBJECT = 3


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A chunk as the chat backend was given it.

    Args:
        number: what the answer cites it by, such as ``[1]``.
        text: the chunk; where it was cut to fit into the model's window, it ends in "[…]".
        score: how near it is to the question, on the scale of the index's metric.
    """

    number: int
    text: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Source:
    """An object that an answer rests on.

    Args:
        object: the page, or what else was found.
        passages: those that were used, in the order of the text.
    """

    object: Any
    passages: Sequence[Passage]

    @property
    def score(self) -> float:
        """That of its best passage."""
        return max(passage.score for passage in self.passages)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A passage that may be given to the chat backend."""

    key: str
    object: Any
    rank: int
    context: str
    content: str
    position: int
    score: float


def candidates(results: SearchResults) -> Steps[list[Candidate]]:
    """The passages nearest to the question, of the objects that were found; best first.

    That of each object which made it be found is among them.
    """
    hits = yield from results.search.steps()
    # Loaded as the results load them: an object that is gone by now is left out.
    objects = {object_key(instance): instance for instance in results}
    hits = [hit for hit in hits if hit.key in objects]
    ranks = {hit.key: rank for rank, hit in enumerate(hits)}
    scores = {hit.document: hit.score for hit in hits}
    scores |= yield from _further(results, hits)
    found = [
        Candidate(
            key=document.object_key,
            object=objects[document.object_key],
            rank=ranks[document.object_key],
            context=document.context,
            content=document.content,
            position=document.position,
            score=scores[document.pk],
        )
        for document in Document.objects.filter(pk__in=list(scores), deleted_at=None)
        if document.object_key in objects
    ]
    return sorted(found, key=lambda candidate: -candidate.score)


def _further(results: SearchResults, hits: Sequence[Hit]) -> Steps[dict[Any, float]]:
    """The scores of the documents that are nearest among those of some objects."""
    search = results.search
    if not hits or search.searched is None:
        return {}
    collection, vector = search.searched
    try:
        matches = yield search_call(
            vector_backends[collection.vector_backend],
            collection.spec,
            vector,
            limit=PASSAGES_PER_OBJECT * len(hits),
            filter=Q(object__in=[hit.key for hit in hits]),
            min_score=search.similarity_threshold,
        )
    except CollectionNotFound:
        # A rebuild dropped it a moment ago; the best passage of each object is known.
        return {}
    return {match.id: match.score for match in matches}


def in_order(used: Sequence[Candidate]) -> list[Candidate]:
    """Passages in the order in which they are numbered.

    Objects come as they were found, and the passages of one in the order of its text.
    """
    return sorted(used, key=lambda candidate: (candidate.rank, candidate.position))


def sources(ordered: Sequence[Candidate]) -> list[Source]:
    """The sources that passages make; these are numbered as they come."""
    passages: dict[str, list[Passage]] = {}
    for number, candidate in enumerate(ordered, 1):
        passage = Passage(number=number, text=candidate.content, score=candidate.score)
        passages.setdefault(candidate.key, []).append(passage)
    objects = {candidate.key: candidate.object for candidate in ordered}
    return [Source(object=objects[key], passages=tuple(passages[key])) for key in passages]
