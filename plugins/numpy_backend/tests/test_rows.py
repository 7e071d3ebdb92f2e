"""Rows are added, replaced, deleted and moved, over the borders of blocks."""

from __future__ import annotations

import math
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.numpy.matrix import Matrix
from wagtail_vector_index.backends.numpy.metadata import Metadata
from wagtail_vector_index.exceptions import CollectionNotFound


def test_a_small_collection_takes_little_memory():
    matrix = Matrix(1_000)
    matrix.resize(1)
    assert sum(block.nbytes for block in matrix._blocks) < 2 * 2**20


def test_growing_copies_nothing_but_the_first_block(small_blocks):
    matrix = Matrix(2)
    seen = []
    for count in range(1, 50):
        matrix.resize(count)
        seen.append(matrix._blocks[0])
        assert len(matrix._blocks) == -(-count // 8)
    assert all(block is seen[-1] for block in seen[8:])


def test_first_block_grows_geometrically(monkeypatch):
    monkeypatch.setattr(Matrix, "block_rows", 16_384)
    matrix = Matrix(1)
    sizes = set()
    for count in range(1, 20_000):
        matrix.resize(count)
        matrix.append(count - 1, np.array([[count]], np.float32))
        sizes.add(len(matrix._blocks[0]))
    assert sorted(sizes) == [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384]
    assert matrix.take(np.arange(19_999))[:, 0].tolist() == list(range(1, 20_000))


@pytest.mark.parametrize("operation", ["upsert", "delete"])
def test_a_collection_that_was_half_written_answers_nothing(backend, fill, monkeypatch, operation):
    """Rather than the id of one record with the score of another."""
    spec = fill(np.eye(20))

    def fail(*args):
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Metadata, "append", fail)
        patch.setattr(Metadata, "truncate", fail)
        if operation == "upsert":
            fill(np.eye(20), ids=range(10, 30))
        else:
            backend.delete(spec, [UUID(int=3)])
    for read in (lambda: backend.search(spec, np.ones(20)), lambda: backend.count(spec)):
        with pytest.raises(CollectionNotFound):
            read()
    assert backend.collections() == []
    assert backend.health().details["records"] == "0"
    fill(np.eye(20))
    assert [match.id.int for match in backend.search(spec, np.eye(20)[7], limit=1)] == [7]


@pytest.mark.parametrize(("dimensions", "rows"), [(384, 131_072), (3_072, 16_384)])
def test_more_dimensions_take_no_larger_blocks(dimensions, rows):
    assert Matrix(dimensions).block_rows == rows


def test_blocks_are_given_back(small_blocks, backend, fill):
    spec = fill(np.eye(100))
    matrix = backend._by_name["c"]._vectors._matrix
    assert len(matrix._blocks) == 13
    backend.delete(spec, [UUID(int=n) for n in range(95)])
    assert len(matrix._blocks) == 2
    backend.delete(spec, [UUID(int=n) for n in range(100)])
    assert backend.count(spec) == len(matrix._blocks) == 0
    assert backend.search(spec, np.ones(100)) == []
    assert backend.count(fill(np.eye(100))) == 100


def test_places_are_used_again(small_blocks, backend, fill):
    spec = fill(np.eye(20))
    collection = backend._by_name["c"]
    for turn in range(30):
        backend.delete(spec, [UUID(int=(turn * 7 + n) % 20) for n in range(6)])
        assert len(collection) == 14
        fill(np.eye(20))
        assert len(collection) == len(collection._metadata._texts) == 20
        assert len(collection._vectors._matrix._blocks) == 3
    for n in range(20):
        [best] = backend.search(spec, np.eye(20)[n], limit=1)
        assert (best.id.int, best.score) == (n, 1.0)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@settings(max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["upsert", "delete"]),
            st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=25),
        ),
        max_size=12,
    )
)
def test_like_a_dict_of_vectors(metric, steps):
    backend = NumpyBackend("default", NumpyBackend.Options())
    backend.max_batch_records = 7
    spec = CollectionSpec(name="c", dimensions=2, metric=metric)
    backend.create(spec)
    model: dict[int, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Matrix, "block_rows", 4)
        for step, items in steps:
            if step == "upsert":
                model |= dict(items)
                _upsert(backend, spec, items)
            else:
                for number, _ in items:
                    model.pop(number, None)
                backend.delete(spec, [UUID(int=number) for number, _ in items])
            assert _stored(backend, spec) == {
                number: (value, {"value": value}) for number, value in model.items()
            }
            found = [match.score for match in backend.search(spec, [1, 4], limit=3)]
            assert found == pytest.approx(_best_scores(metric, model.values()))


def _upsert(backend, spec, items):
    if items:
        backend.upsert(
            spec,
            RecordBatch.of(
                ids=[UUID(int=number) for number, _ in items],
                vectors=[[1, value] for _, value in items],
                metadata=[{"value": value} for _, value in items],
            ),
        )


def _best_scores(metric, values):
    scores = {
        "cosine": lambda value: (1 + 4 * value) / math.hypot(1, 4) / math.hypot(1, value),
        "dot": lambda value: 1 + 4 * value,
        "euclidean": lambda value: -abs(value - 4),
    }
    return sorted(map(scores[metric], values), reverse=True)[:3]


def _stored(backend, spec):
    return {
        record.id.int: (round(record.vector[1] / record.vector[0], 4), record.metadata)
        for batch in backend.scan(spec, batch_size=5)
        for record in batch
    }
