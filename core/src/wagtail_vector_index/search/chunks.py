"""The scores of the chunks of objects that a search found."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from ..contract.sansio import Steps
from ..exceptions import CollectionNotFound
from ..indexing.catching_up import catch_up
from ..plugins.handlers import vector_backends
from .base import Search, of_objects, search_call

__all__ = ["chunk_scores"]


def chunk_scores(search: Search, keys: Sequence[str], limit: int) -> Steps[dict[UUID, float]]:
    """Return the scores of the best chunks of some objects, by the ids of their documents.

    Args:
        search: a search for a text that has run already; its threshold applies.
        keys: the keys of the objects.
        limit: the most chunks to return, for all objects together.
    """
    if not keys or search.searched is None:
        return {}
    collection, vector = search.searched
    backend = vector_backends[collection.vector_backend]
    try:
        matches = yield search_call(
            backend,
            catch_up(collection, backend),
            vector,
            limit=limit,
            filter=of_objects(keys),
            min_score=search.similarity_threshold,
        )
    except CollectionNotFound:
        # A rebuild dropped the collection a moment ago.
        return {}
    return {match.id: match.score for match in matches}
