from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.conf import settings
from usearch_wagtail_vectors import collection
from usearch_wagtail_vectors.backend import UsearchBackend

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch

# In the repository of Wagtail Vector Index, all tests share its settings.
if not settings.configured:
    settings.configure()


@pytest.fixture
def prefer_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of records is searched by the graph too, whatever that costs."""
    monkeypatch.setattr(collection, "EXACT_UP_TO", 0)
    monkeypatch.setattr(collection, "COST_OF_A_STEP", 0)
    monkeypatch.setattr(collection, "UNLINKED", 0)


@pytest.fixture
def load() -> Callable[..., UsearchBackend]:
    """Fills a backend as the first process does."""

    def new_process(
        spec: CollectionSpec, vectors: Mapping[int, Any], **options: Any
    ) -> UsearchBackend:
        backend = UsearchBackend("default", UsearchBackend.Options(**{"graph_from": 1, **options}))
        backend.create(spec)
        numbers = list(vectors)
        for start in range(0, len(numbers), 500):
            backend.upsert(spec, batch_of(vectors, numbers[start : start + 500]))
        backend.optimize(spec)
        return backend

    return new_process


def batch_of(vectors: Mapping[int, Any], numbers: Iterable[int]) -> RecordBatch:
    chosen = list(numbers)
    return RecordBatch.of(
        ids=[UUID(int=number) for number in chosen],
        vectors=[vectors[number] for number in chosen],
        metadata=[{"n": number} for number in chosen],
    )


@pytest.fixture
def vectors() -> dict[int, Any]:
    """Vectors around 20 centres."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((20, 32))
    rows = centres[random.integers(20, size=2_000)] + 0.5 * random.standard_normal((2_000, 32))
    return dict(enumerate(rows.astype(np.float32)))
