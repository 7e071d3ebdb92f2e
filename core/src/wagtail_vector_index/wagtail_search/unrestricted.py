"""An index whose objects may all be found, where something else decides who sees them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from ..content.visibility import Visibility, visible_to_all
from ..indexes import VectorIndex

__all__ = ["unrestricted"]


class _Unrestricted(VectorIndex):
    """For a vector index: its querysets, and the one searched, decide what is found."""

    def live(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """All of a queryset."""
        return queryset

    def visible_among(
        self, keys: Sequence[str], visibility: Visibility, within: QuerySet[Any] | None = None
    ) -> set[str]:
        """Which of these keys name objects of the index, and of the queryset, whoever asks."""
        return super().visible_among(keys, visible_to_all(), within)

    def few_visible(
        self, visibility: Visibility, at_most: int, within: QuerySet[Any] | None = None
    ) -> list[str] | None:
        """The keys of all objects of the index, and of the queryset, if they are few."""
        return super().few_visible(visible_to_all(), at_most, within)


def unrestricted(index: VectorIndex) -> VectorIndex:
    """The same index, but for who may see what."""
    base: Any = type(index)
    return _unrestricted_class(base, index.name)()


@functools.cache
def _unrestricted_class(index_class: type[VectorIndex], name: str) -> type[VectorIndex]:
    attributes = {"name": name, "__module__": index_class.__module__}
    return type(index_class.__name__, (_Unrestricted, index_class), attributes)
