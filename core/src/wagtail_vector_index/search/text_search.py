"""A search for a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise

from ..content.text import clean_text
from ..contract.sansio import Call, Steps
from ..exceptions import InvalidQuery
from ..models.tables import Collection
from .base import Search
from .collections import check_current
from .ranking import Hit
from .reranking import check_reranking, reranked, reranking_depth

__all__ = ["TextSearch"]


@dataclass(kw_only=True)
class TextSearch(Search):
    """A search for objects that are near in meaning to a text.

    Args:
        query: the text; blank text finds nothing.

    Raises:
        InvalidQuery: the query is not a text.
    """

    query: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.query, Promise):  # a lazy translation
            self.query = str(self.query)
        if not isinstance(self.query, str):
            raise InvalidQuery(f"A query must be a text, not {type(self.query).__name__}.")
        self.text = clean_text(self.query)  # type: ignore[misc]
        if self.index.reranking_backend is not None:
            check_reranking(self.index)

    @property
    def _depth(self) -> int:
        return max(self.limit, reranking_depth(self.index))

    def reranked(self, hits: list[Hit]) -> Steps[list[Hit]]:
        """Return the ranking in its final order."""
        return (yield from reranked(self.index, self.text, hits))

    def _vector(self, collection: Collection) -> Steps[Any]:
        check_current(self.index, collection)
        if not self.text:
            return None
        embedder = self.index.embedder
        vector = yield Call(
            sync=lambda: embedder.embed_query(self.text),
            asynchronous=lambda: embedder.aembed_query(self.text),
        )
        if len(vector) != collection.dimensions:
            check_current(self.index, collection, len(vector))
        if not any(vector):  # a zero vector, which models return for unknown words
            self._notify((), 0.0)
            return None
        self.searched = collection, vector
        return vector
