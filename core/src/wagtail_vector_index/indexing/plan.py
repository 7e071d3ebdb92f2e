"""The plan of an index's collection, made from the current settings and code."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.db.models import QuerySet
from django.utils.text import slugify

from ..content.declaration import IndexDeclaration
from ..contract.filters import FieldType
from ..contract.metrics import Metric
from ..embeddings.base import assumed_dimensions
from ..models.tables import Collection


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The collection that an index should have."""

    index: str
    vector_backend: str
    fingerprint: str
    chunking: str
    dimensions: int
    metric: Metric
    fields: Mapping[str, FieldType]

    @classmethod
    def of(cls, index: IndexDeclaration) -> Plan:
        """Return the plan of an index.

        Raises:
            ConfigurationError: the index's settings or fields are wrong.
            EmbeddingError: only the embedding service knows the dimensions, and it failed.
        """
        filter_fields = index.configuration.fields
        embedder = index.embedder
        return cls(
            index=index.name,
            vector_backend=index.vector_backend,
            fingerprint=embedder.fingerprint,
            chunking=_chunking(index),
            dimensions=embedder.dimensions,
            metric=index.metric,
            fields=filter_fields,
        )

    @classmethod
    def of_collection(cls, collection: Collection) -> Plan:
        """Return the plan that a collection was made by."""
        return cls(**{field.name: getattr(collection, field.name) for field in fields(cls)})

    def new_collection(self) -> Collection:
        """Return a collection as planned, with a new name, not saved yet."""
        stem = slugify(self.index.replace(".", "-")).replace("-", "_").strip("_0123456789")
        while "__" in stem:
            stem = stem.replace("__", "_")
        return Collection(
            name=f"{(stem or 'index')[:31].rstrip('_')}_{uuid.uuid4().hex[:16]}",
            index=self.index,
            vector_backend=self.vector_backend,
            fingerprint=self.fingerprint,
            chunking=self.chunking,
            dimensions=self.dimensions,
            metric=self.metric,
            fields=dict(self.fields),
        )

    def fits(self, collection: Collection) -> bool:
        """Return whether a collection is as planned."""
        return (
            self.accepts(collection)
            and collection.vector_backend == self.vector_backend
            and collection.fields == dict(self.fields)
        )

    def accepts(self, collection: Collection) -> bool:
        """Return whether documents made by this plan can be written to a collection.

        They can while an index moves to another vector backend, or gets another field.
        """
        return not self.differences(collection) and all(
            self.fields.get(name) == type_ for name, type_ in collection.fields.items()
        )

    def differences(self, collection: Collection) -> list[str]:
        """Return the reasons not to search a collection with this plan; empty if there are none."""
        pairs = {
            "embedding model": (collection.fingerprint, self.fingerprint),
            "chunking": (collection.chunking, self.chunking),
            "metric": (collection.metric, self.metric),
            "dimensions": (collection.dimensions, self.dimensions),
        }
        return [
            f"{what} {was!r} is now {now!r}" for what, (was, now) in pairs.items() if was != now
        ]


def outdated_by(
    index: IndexDeclaration, collection: Collection, dimensions: int | None = None
) -> list[str]:
    """Return the reasons not to search a collection of an index; empty if there are none.

    Unlike `Plan.of`, this asks no embedding service, which may take minutes or be down.

    Args:
        index: the index, with its current settings and code.
        collection: the collection that serves it.
        dimensions: the size of the vectors where only the embedding service knows it; by default
            the collection's.

    Raises:
        ConfigurationError: the index's settings or fields are wrong.
    """
    with assumed_dimensions(lambda: dimensions or collection.dimensions):
        return Plan.of(index).differences(collection)


def _chunking(index: IndexDeclaration) -> str:
    """Return a text that is different for each way to split texts into chunks."""
    sizes = f"{index.get_chunk_tokens()}/{index.chunk_overlap}"
    name = index.text_splitter.name
    return f"{sizes}/{name}" if name else sizes


def live_collections(index_name: str) -> QuerySet[Any]:
    """Return the collections of an index that changes are written to."""
    states = (Collection.State.BUILDING, Collection.State.ACTIVE)
    collections: QuerySet[Any] = Collection.objects.filter(index=index_name, state__in=states)
    return collections.order_by("pk")
