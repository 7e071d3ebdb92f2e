"""Qdrant and the NumPy backend give the same answers for the same records and queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.congruence import FIELDS, assert_finds_what_numpy_finds, records
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.qdrant import QdrantBackend

pytestmark = pytest.mark.once

SPEC = CollectionSpec(name="congruence", dimensions=16, fields=FIELDS)


@pytest.fixture(scope="module", params=["double", "double by gRPC", "server", "server by gRPC"])
def backend(request: pytest.FixtureRequest) -> Iterator[QdrantBackend]:
    backend = QdrantBackend("default", QdrantBackend.Options(**_options(request), timeout=60))
    backend.drop(SPEC)
    backend.create(SPEC)
    yield backend
    backend.drop(SPEC)
    backend.close()


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    grpc = "gRPC" in request.param
    if "double" in request.param:
        port = request.getfixturevalue("shared_grpc_port") if grpc else 1
        url = request.getfixturevalue("shared_double").url
        return {"host": url, "grpc": grpc, "grpc_port": port, "exact": True}
    server = request.getfixturevalue("server")
    return {
        "host": server.url,
        "api_key": server.api_key,
        "grpc": grpc,
        "grpc_port": server.grpc_port,
        "collection_prefix": "wvi_tests",
    }


@pytest.fixture(scope="module")
def batch(backend: QdrantBackend) -> RecordBatch:
    """What is in the collection: few in the double, whose local mode is slow."""
    batch = records(500 if backend.options.exact else 5_000, SPEC.dimensions)
    backend.upsert(SPEC, batch)
    return batch


def test_random_filters(backend: QdrantBackend, batch: RecordBatch) -> None:
    assert_finds_what_numpy_finds(backend, SPEC, batch, examples=80, limits=(100, 1_500))


def test_random_filters_once_it_is_indexed(backend: QdrantBackend, batch: RecordBatch) -> None:
    backend.optimize(SPEC)
    assert_finds_what_numpy_finds(backend, SPEC, batch, examples=20)


def test_metadata(backend: QdrantBackend, batch: RecordBatch) -> None:
    found = {record.id: record.metadata for page in backend.scan(SPEC) for record in page}
    assert found == {record.id: record.metadata for record in batch}


def test_limit_of_most_records(backend: QdrantBackend) -> None:
    spec = CollectionSpec(name="many", dimensions=8)
    count = 4_000 if backend.options.exact else 20_000
    batch = records(count, 8, filterable=False)
    backend.drop(spec)
    backend.create(spec)
    backend.upsert(spec, batch)
    try:
        assert_finds_what_numpy_finds(backend, spec, batch, examples=1, limits=(count * 3 // 4,))
    finally:
        backend.drop(spec)
