"""Candidates of a store that scores in float32 are enough, and are scored exactly."""

from uuid import UUID

import numpy as np
import pytest

from wagtail_vector_index.contract import METRICS, RecordBatch
from wagtail_vector_index.contract.arrays import scores, stored, stored_query
from wagtail_vector_index.contract.rescoring import nearest

DIMENSIONS = 3_072


class Store:
    """Proposes candidates by its own estimates; the lower ids come first among equal ones."""

    def __init__(self, vectors, estimates):
        self.vectors = vectors
        self.order = sorted(range(len(vectors)), key=lambda row: (-estimates[row], row))
        self.asked = []

    def find(self, count):
        self.asked.append(count)
        rows = self.order[:count]
        ids = [UUID(int=row) for row in rows]
        return RecordBatch.of(ids=ids, vectors=[self.vectors[row] for row in rows])


def in_float32(vectors, query, metric):
    """Scores as a store without any lanes adds them up."""
    if metric == "euclidean":
        return -np.sqrt(np.cumsum((vectors - query) ** 2, axis=1, dtype=np.float32)[:, -1])
    return np.cumsum(vectors * query, axis=1, dtype=np.float32)[:, -1]


def best(matches, limit):
    ranked = sorted(matches, key=lambda match: (-match.score, match.id))[:limit]
    return [match.id.int for match in ranked]


@pytest.mark.parametrize("metric", METRICS)
def test_the_nearest_are_found_among_scores_that_rounding_mixes_up(metric):
    rows = np.full((400, DIMENSIONS), 0.1, np.float32)
    for number, row in enumerate(rows):
        row[: number // 2] = 0.07  # so that pairs score the same
        row[-1] += np.float32(1e-4 * (number % 2))
    vectors = stored(rows, metric)
    query = stored_query(memoryview(rows[0] * np.float32(-0.37)), metric)
    store = Store(vectors, in_float32(vectors, query, metric))
    right = scores(vectors, query, metric)
    for limit in (1, 7, 100):
        found = nearest(store.find, query, limit, metric)
        assert best(found, limit) == sorted(range(400), key=lambda row: (-right[row], row))[:limit]
        assert all(match.score == right[match.id.int] for match in found)


def test_equal_scores_at_the_limit_are_all_looked_at():
    """The estimates put the lowest ids last."""
    vectors = np.ones((100, 8), np.float32)
    store = Store(vectors, np.arange(100) * 1e-7)
    found = nearest(store.find, vectors[0], 10, "dot")
    assert best(found, 10) == list(range(10))


def test_a_store_is_asked_once_if_its_scores_differ():
    vectors = np.linspace(1, 2, 1_000, dtype=np.float32)[:, None]
    store = Store(vectors, vectors[:, 0])
    assert best(nearest(store.find, np.ones(1, np.float32), 10, "dot"), 1) == [999]
    assert store.asked == [26]


def test_of_thousands_of_copies_not_all_are_read():
    vectors = np.ones((20_000, 1), np.float32)
    store = Store(vectors, np.zeros(20_000))
    assert best(nearest(store.find, vectors[0], 10, "euclidean"), 10) == list(range(10))
    assert sum(store.asked) < 10_000


def test_there_may_be_fewer_records_than_the_limit():
    vectors = np.ones((3, 8), np.float32)
    store = Store(vectors, np.zeros(3))
    assert len(nearest(store.find, vectors[0], 2**63, "cosine")) == 3
    assert nearest(Store(vectors[:0], []).find, vectors[0], 5, "cosine") == []
