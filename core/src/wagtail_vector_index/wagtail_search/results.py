"""The results of a search by meaning, in the form of Wagtail's search."""

from __future__ import annotations

from typing import Any

from modelsearch.backends.base import BaseSearchResults

__all__ = ["SemanticSearchResults"]


class SemanticSearchResults(BaseSearchResults):
    """Objects of the queryset that was searched, nearest first or in the queryset's order.

    A text finds at most as many objects as the backend's ``LIMIT``, in either order. A slice of
    the results loads only its own objects, and only those that may still be seen. So there may
    be fewer objects than ``count()`` says, which is their number at the time of the search.

    The query ``MATCH_ALL`` finds all objects of the queryset, whatever the ``LIMIT``.
    """

    def _do_search(self) -> list[Any]:
        keys = self._slice()
        objects = self.query_compiler.load(self.backend, keys) if keys else {}
        # An object may have been deleted, unpublished or restricted since the search.
        return [self._annotated(objects[key]) for key in keys if key in objects]

    def _do_count(self) -> int:
        return len(self._slice())

    def _slice(self) -> list[str]:
        keys: list[str] = self.query_compiler.keys(self.backend)
        return keys[self.start : self.stop]

    def _annotated(self, instance: Any) -> Any:
        if self._score_field:
            setattr(instance, self._score_field, instance.vector_score)
        return instance
