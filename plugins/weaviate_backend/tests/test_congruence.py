"""Weaviate and the NumPy backend give the same answers for the same records and queries."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.congruence import FIELDS, assert_finds_what_numpy_finds, records
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.contract import Metric

pytestmark = pytest.mark.once


@pytest.fixture
def backend(options: dict[str, Any]) -> Iterator[WeaviateBackend]:
    backend = WeaviateBackend("default", WeaviateBackend.Options(**options, timeout=60))
    yield backend
    backend.close()


def filled(backend: WeaviateBackend, batch: RecordBatch, **shape: Any) -> CollectionSpec:
    name = f"t{uuid.uuid4().hex[:12]}"
    spec = CollectionSpec(name=name, dimensions=batch.dimensions, **shape)
    backend.create(spec)
    backend.upsert(spec, batch)
    return spec


def test_random_filters(backend: WeaviateBackend) -> None:
    batch = records(5_000, 8)
    spec = filled(backend, batch, fields=FIELDS)
    limits = (1, 10, 100, 1_000, 6_000)
    assert_finds_what_numpy_finds(backend, spec, batch, examples=80, limits=limits)
    found = {record.id: record.metadata for page in backend.scan(spec) for record in page}
    assert found == {record.id: record.metadata for record in batch}
    backend.drop(spec)


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_more_than_the_server_gives_at_once(backend: WeaviateBackend, metric: Metric) -> None:
    batch = records(20_000, 8, filterable=False)
    spec = filled(backend, batch, metric=metric)
    limits = (15_000, 30_000)
    assert_finds_what_numpy_finds(backend, spec, batch, examples=2, limits=limits)
    assert sum(len(page) for page in backend.scan(spec, batch_size=15_000)) == 20_000
    backend.drop(spec)
