"""An index whose objects may all be found, where something else decides who sees them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from ..indexes import VectorIndex
from ..keys import key_of, primary_keys

__all__ = ["unrestricted"]


class _Unrestricted:
    """For a vector index: the querysets alone decide what is found."""

    def visible_among(
        self: Any,
        keys: Sequence[str],
        within: QuerySet[Any] | None = None,
        *viewer: Any,
        **kwargs: Any,
    ) -> set[str]:
        """Which of these keys name objects of the index, and of the queryset, whoever asks."""
        found = _members(self.get_querysets(), keys)
        return found if within is None else found & _members([within], keys)


def _members(querysets: Sequence[QuerySet[Any]], keys: Sequence[str]) -> set[str]:
    return {
        key_of(queryset.model, pk)
        for queryset in querysets
        for pk in queryset.filter(pk__in=primary_keys(queryset.model, keys))
        .order_by()
        .values_list("pk", flat=True)
    }


def unrestricted(index: VectorIndex) -> VectorIndex:
    """The same index, but for who may see what."""
    base: Any = type(index)
    return _unrestricted_class(base, index.name)()


@functools.cache
def _unrestricted_class(index_class: type[VectorIndex], name: str) -> type[VectorIndex]:
    attributes = {"name": name, "__module__": index_class.__module__}
    return type(index_class.__name__, (_Unrestricted, index_class), attributes)
