"""Copies of indexes whose objects may all be found, because the site checks the visibility."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from ..content.visibility import Visibility, visible_to_all
from ..indexes import VectorIndex

__all__ = ["unrestricted"]


class _Unrestricted(VectorIndex):
    """A base of vector indexes in which only querysets decide which objects are found."""

    #: Nobody knows who will see the objects, so none of their texts is sent anywhere.
    reranking_backend = None

    def live(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return a queryset as it is, with objects that are not live."""
        return queryset

    def visible_among(
        self, keys: Sequence[str], visibility: Visibility, within: QuerySet[Any] | None = None
    ) -> set[str]:
        """Return the keys, among these, of objects of the index and of ``within``."""
        return super().visible_among(keys, visible_to_all(), within)

    def few_visible(
        self, visibility: Visibility, at_most: int, within: QuerySet[Any] | None = None
    ) -> list[str] | None:
        """Return the keys of all objects of the index and of ``within``, if there are few."""
        return super().few_visible(visible_to_all(), at_most, within)


def unrestricted(index: VectorIndex) -> VectorIndex:
    """Return a copy of an index whose searches ignore who may see an object."""
    base: Any = type(index)
    return _unrestricted_class(base, index.name)()


@functools.cache
def _unrestricted_class(index_class: type[VectorIndex], name: str) -> type[VectorIndex]:
    attributes = {"name": name, "__module__": index_class.__module__}
    return type(index_class.__name__, (_Unrestricted, index_class), attributes)
