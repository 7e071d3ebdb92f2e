from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.numpy.matrix import Matrix


@pytest.fixture
def backend() -> NumpyBackend:
    return NumpyBackend("default", NumpyBackend.Options())


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks so small that a test crosses many borders."""
    monkeypatch.setattr(Matrix, "block_rows", 8)
    return 8


@pytest.fixture
def fill(backend: NumpyBackend) -> Callable[..., CollectionSpec]:
    """Make a collection ``c``, or write to it, with ids 0, 1, 2… for the rows."""

    def fill_collection(
        vectors: Any,
        metric: str = "cosine",
        *,
        ids: Any = None,
        metadata: Any = None,
        fields: Any = None,
    ) -> CollectionSpec:
        rows = np.asarray(vectors, np.float32)
        spec = CollectionSpec(
            name="c", dimensions=rows.shape[1], metric=metric, fields=fields or {}
        )
        numbers = range(len(rows)) if ids is None else ids
        backend.create(spec)
        backend.upsert(
            spec,
            RecordBatch.of(
                ids=[UUID(int=int(number)) for number in numbers], vectors=rows, metadata=metadata
            ),
        )
        return spec

    return fill_collection


@pytest.fixture
def numbers(backend: NumpyBackend) -> Callable[..., list[int]]:
    """The ids that a search finds, as the numbers they were made of."""

    def search(spec: CollectionSpec, query: Any, **options: Any) -> list[int]:
        return [match.id.int for match in backend.search(spec, query, **options)]

    return search
