"""A search for objects that are similar to an object of an index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..contract.filters import Comparison, Not
from ..contract.sansio import Call, Steps
from ..exceptions import CollectionNotFound
from ..indexing.backend_vectors import vectors_by_id
from ..models.tables import Collection, Document
from .base import NOTHING, Search, both
from .collections import active_collection, check_current, lost, serving_backend

__all__ = ["SimilarSearch"]


@dataclass(kw_only=True)
class SimilarSearch(Search):
    """A search with the mean of an object's stored vectors. It does not find the object itself.

    Args:
        key: the object's key.
    """

    key: str

    def _vector(self, collection: Collection) -> Steps[Any]:
        check_current(self.index, collection)
        try:
            vectors = yield from self._stored(collection)
        except CollectionNotFound:
            # A rebuild may have replaced or dropped the collection a moment ago.
            try:
                vectors = yield from self._stored(active_collection(self.index))
            except CollectionNotFound as error:
                raise lost(self.index, error) from error
        if not vectors:
            return None
        mean = [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]
        # Vectors that cancel each other out have no mean direction.
        return mean if any(mean) else vectors[0]

    def _stored(self, collection: Collection) -> Steps[Sequence[Sequence[float]]]:
        """Return the vectors of the object's documents, from the backend if they were dropped."""
        documents = Document.objects.filter(
            collection=collection, object_key=self.key, deleted_at__isnull=True
        )
        rows = documents.order_by("position").values_list("pk", "embedding__vector")
        vectors: dict[Any, Any] = dict(rows)
        if dropped := [pk for pk, vector in vectors.items() if vector is None]:
            backend = serving_backend(self.index, collection)
            batch = yield Call(
                sync=lambda: backend.get(collection.spec, dropped),
                asynchronous=lambda: backend.aget(collection.spec, dropped),
            )
            vectors |= vectors_by_id(batch)
        return [memoryview(vector).cast("f").tolist() for vector in vectors.values() if vector]

    def _filter(self) -> Any:
        inside = super()._filter()
        if inside is NOTHING:
            return NOTHING
        return both(inside, Not(Comparison("object", "str", "exact", self.key)))
