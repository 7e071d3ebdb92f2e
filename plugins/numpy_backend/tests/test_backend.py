from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.exceptions import CollectionMismatch, CollectionNotFound, InvalidVector

SPEC = CollectionSpec(name="blog", dimensions=2, fields={"locale": "str"})
OTHER = CollectionSpec(name="blog", dimensions=2, metric="dot", fields={"locale": "str"})
ID = UUID(int=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda backend, spec: backend.upsert(spec, RecordBatch.of(ids=[ID], vectors=[[1, 2]])),
        lambda backend, spec: backend.delete(spec, [ID]),
        lambda backend, spec: backend.search(spec, [1, 2]),
        lambda backend, spec: backend.count(spec),
        lambda backend, spec: backend.get(spec, [ID]),
        lambda backend, spec: backend.scan(spec),
    ],
)
def test_collection_is_missing_or_another(backend, call):
    with pytest.raises(CollectionNotFound, match="'default'> has no collection 'blog'"):
        call(backend, SPEC)
    backend.create(SPEC)
    with pytest.raises(CollectionMismatch, match="2 dimensions under dot with the fields"):
        call(backend, OTHER)
    call(backend, SPEC)


def test_create_refuses_another_shape(backend):
    backend.create(SPEC)
    backend.create(SPEC)
    with pytest.raises(CollectionMismatch, match="'default'> has 'blog' as 2 dimensions"):
        backend.create(OTHER)


def test_health_says_how_much_there_is(backend, fill):
    metadata = [{"n": n} for n in range(100)]
    spec = fill(np.eye(100, 50), metric="dot", metadata=metadata, fields={"n": "int"})
    assert backend.count(spec, Q(n__gte=50)) == 50
    health = backend.health()
    assert health.ok
    assert "1 collections with 100 records" in health.message
    assert health.details["collections"] == "1"
    assert health.details["records"] == "100"
    assert 100 * 50 * 4 < int(health.details["bytes"]) < 2 * 100 * 50 * 4


@pytest.mark.parametrize(
    ("row", "metric", "problem"),
    [
        ([np.nan, 1, 1], "dot", "NaN"),
        ([1, np.inf, 1], "dot", "NaN or infinity"),
        ([np.inf, -np.inf, 1], "euclidean", "NaN or infinity"),
        ([0, 0, 0], "cosine", "zero"),
        ([-0.0, 0, 0], "cosine", "zero"),
    ],
)
def test_invalid_vector_is_named_and_nothing_written(backend, row, metric, problem):
    spec = CollectionSpec(name="c", dimensions=3, metric=metric)
    backend.create(spec)
    batch = RecordBatch.of(
        ids=[UUID(int=n) for n in range(4)], vectors=[[1, 2, 3], [1, -1, 0], row, row]
    )
    with pytest.raises(InvalidVector, match=f"00002 .*{problem}"):
        backend.upsert(spec, batch)
    assert backend.count(spec) == 0


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_valid_vectors_that_look_invalid(backend, fill, metric):
    """Sums that overflow, cancel out or vanish are no reason to refuse a vector."""
    rows = [[3e38, 3e38, 3e38], [1, -1, 0], [1e-45, 0, 0], [-3e38, -3e38, 0]]
    assert backend.count(fill(rows, metric)) == 4


def test_zero_is_a_vector_where_it_has_a_meaning(backend, fill, numbers):
    spec = fill([[0, 0], [1, 0]], "euclidean")
    assert numbers(spec, [0, 0]) == [0, 1]


def test_scan_sees_each_record_once_while_rows_move(backend, fill):
    spec = fill(np.eye(20))
    batches = backend.scan(spec, batch_size=3)
    seen = next(batches).uuids
    # The last rows take the places of the first.
    backend.delete(spec, [UUID(int=n) for n in (0, 1, 2, 5)])
    fill(np.eye(20)[:2], ids=[7, 30])
    for batch in batches:
        seen += batch.uuids
    assert sorted(id.int for id in seen) == [n for n in range(20) if n != 5]


def test_scan_leaves_out_batches_that_are_gone(backend, fill):
    spec = fill(np.eye(9))
    batches = backend.scan(spec, batch_size=3)
    backend.delete(spec, [UUID(int=n) for n in range(3, 9)])
    assert [len(batch) for batch in batches] == [3]
