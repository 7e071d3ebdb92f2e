"""Clusters: nodes that are away or lag, and what `health` says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models import Q

from plugins.qdrant_backend.tests.conftest import KEY, MakeBackend
from plugins.qdrant_backend.tests.double import Double, Fault
from plugins.qdrant_backend.tests.grpc_double import grpc_door
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

SPEC = CollectionSpec(name="blog", dimensions=4, fields={"n": "int"})
BATCH = RecordBatch.of(
    ids=sorted_ids(30),
    vectors=random_vectors(30, 4),
    metadata=[{"n": number % 3} for number in range(30)],
)
QUERY = [1.0, 2.0, 3.0, 4.0]


@pytest.fixture(params=["rest", "grpc"])
def protocol(request: pytest.FixtureRequest, double: Double) -> Iterator[dict[str, Any]]:
    """The settings of each of the two protocols."""
    if request.param == "rest":
        yield {}
        return
    with grpc_door(double) as port:
        yield {"GRPC": True, "GRPC_PORT": port}


def test_quorum_goes_on_while_a_node_is_away(
    double: Double, make_backend: MakeBackend, protocol: Any
) -> None:
    backend = make_backend(CONSISTENCY="quorum", MAX_RETRIES=0, **protocol)
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    double.is_node_away = True
    assert len(backend.search(SPEC, QUERY)) == 10
    assert len(backend.search(SPEC, QUERY, filter=Q(n=1))) == 10
    assert backend.count(SPEC) == len(backend.get(SPEC, BATCH.uuids)) == 30
    assert sum(map(len, backend.scan(SPEC))) == 30
    majority = make_backend(CONSISTENCY="majority", MAX_RETRIES=0, **protocol)
    with pytest.raises(BackendUnavailable):
        majority.search(SPEC, QUERY)


def test_a_collection_is_made_while_a_node_is_away(
    double: Double, make_backend: MakeBackend, protocol: Any
) -> None:
    """The server waits for the node, but must leave time for what comes after that."""
    backend = make_backend(TIMEOUT=6, MAX_RETRIES=1, **protocol)
    double.is_node_away = True
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    assert backend.count(SPEC) == 30


def test_a_frozen_node_holds_up_no_search(
    double: Double, make_backend: MakeBackend, protocol: Any
) -> None:
    replicated = {"REPLICATION_FACTOR": 3, "CONSISTENCY": "quorum"}
    backend = make_backend(TIMEOUT=6, MAX_RETRIES=0, **replicated, **protocol)
    make_backend(**protocol).create(SPEC)  # as if the next call had been interrupted
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    double.is_node_frozen = True
    assert len(backend.search(SPEC, QUERY)) == 10
    assert len(backend.search(SPEC, QUERY, filter=Q(n=1))) == 10


@pytest.mark.parametrize("consistency", ["quorum", 2])
def test_a_node_that_lags_is_not_believed(
    double: Double, make_backend: MakeBackend, protocol: Any, consistency: Any
) -> None:
    backend = make_backend(CONSISTENCY=consistency, **protocol)
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    double.does_lag = True
    assert len(backend.search(SPEC, QUERY, filter=Q(n=1))) == 10
    assert len(backend.search(SPEC, QUERY, limit=5_000)) == 30
    assert backend.count(SPEC) == 30
    assert backend.count(SPEC, Q(n=2)) == 10
    assert len(backend.get(SPEC, BATCH.uuids)) == 30
    assert sum(map(len, backend.scan(SPEC))) == 30


@pytest.mark.parametrize("counted", [0, 4])
def test_a_count_that_lags_hides_no_match(
    double: Double, make_backend: MakeBackend, counted: int
) -> None:
    """The count may come from another node than the search, whatever consistency says."""
    backend = make_backend()
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    answer = b'{"result": {"count": %d}, "status": "ok", "time": 0.0}' % counted
    double.fault = lambda request: Fault(body=answer) if request.path.endswith("count") else None
    assert len(backend.search(SPEC, QUERY, filter=Q(n=1), limit=10)) == 10
    assert len(backend.search(SPEC, QUERY, limit=5_000)) == 30


def test_health_while_a_node_is_away(
    double: Double, make_backend: MakeBackend, protocol: Any
) -> None:
    backend = make_backend(CONSISTENCY="quorum", MAX_RETRIES=0, **protocol)
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    assert backend.health().ok
    double.is_node_away = True
    for health in (backend.health(), asyncio.run(backend.ahealth())):
        assert not health.ok
        assert "blog: not all replicas answered" in health.message
        assert "1 of 3 read operations failed" in health.message


def test_health_with_a_key_that_may_only_read(
    double: Double, make_backend: MakeBackend, protocol: Any
) -> None:
    double.api_key, double.read_only_key = KEY, "may-only-read-0123"
    make_backend(API_KEY=KEY, **protocol).create(SPEC)
    assert make_backend(API_KEY=KEY, **protocol).health().ok
    backend = make_backend(API_KEY=double.read_only_key, **protocol)
    assert len(backend.search(SPEC, QUERY)) == 0
    for health in (backend.health(), asyncio.run(backend.ahealth())):
        assert not health.ok
        assert "it cannot be changed" in health.message
        assert "Check whether API_KEY may write" in health.message
