"""A search for objects that are similar to an object of an index."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..contract.filters import Comparison, Not
from ..contract.sansio import Steps
from ..models.tables import Collection, Document
from .base import NOTHING, Search, both
from .collections import check_current

__all__ = ["SimilarSearch"]


@dataclass(kw_only=True)
class SimilarSearch(Search):
    """A search with the mean of an object's stored vectors. It does not find the object itself.

    Args:
        key: the object's key.
    """

    key: str

    def _vector(self, collection: Collection) -> Steps[Any]:
        yield from ()
        check_current(self.index, collection)
        vectors = [
            memoryview(vector).cast("f").tolist()
            for vector in Document.objects.filter(
                collection=collection, object_key=self.key, embedding__isnull=False
            )
            .order_by("position")
            .values_list("embedding__vector", flat=True)
        ]
        if not vectors:
            return None
        mean = [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]
        # Vectors that cancel each other out have no mean direction.
        return mean if any(mean) else vectors[0]

    def _filter(self) -> Any:
        inside = super()._filter()
        if inside is NOTHING:
            return NOTHING
        return both(inside, Not(Comparison("object", "str", "exact", self.key)))
