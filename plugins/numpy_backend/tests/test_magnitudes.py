"""Vectors as small and as big as float32 can be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wagtail_vector_index.exceptions import InvalidVector

SMALLEST = 2.0**-149
SCALES = [SMALLEST, 1e-38, 1e-25, 1e-10, 1.0, 1e10, 1e19, 1e30, 1e38]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("query_scale", SCALES)
def test_cosine_ignores_length(backend, fill, scale, query_scale):
    rows = np.array([[3, 1, 0], [1, 3, 0], [-1, 0, 2], [-3, -1, 0]]) * np.float64(scale)
    query = np.array([3, 1, 0]) * np.float64(query_scale)
    found = backend.search(fill(rows), query.astype(np.float32))
    expected = [1.0, 0.6, -3 / math.sqrt(50), -1.0]
    assert [match.id.int for match in found] == [0, 1, 2, 3]
    assert [match.score for match in found] == pytest.approx(expected, abs=1e-6)


def test_cosine_of_very_different_lengths_in_one_batch(backend, fill):
    directions = np.random.default_rng(0).standard_normal((200, 16))
    scales = 10.0 ** np.random.default_rng(1).integers(-30, 30, 200)
    rows = (directions * scales[:, None]).astype(np.float32)
    query = directions[17]
    found = backend.search(fill(rows), query, limit=20)
    exact = rows.astype(float) @ query / np.linalg.norm(rows.astype(float), axis=1)
    exact /= np.linalg.norm(query)
    best = np.argsort(-exact)[:20]
    assert [match.id.int for match in found] == best.tolist()
    assert [match.score for match in found] == pytest.approx(exact[best], abs=1e-6)


@pytest.mark.parametrize("limit", [3, 100])
@pytest.mark.parametrize("metric", ["dot", "euclidean"])
@pytest.mark.parametrize("scale", SCALES)
def test_scores_of_any_size(backend, fill, metric, scale, limit):
    rng = np.random.default_rng(2)
    rows = (rng.standard_normal((50, 8)) * scale).clip(-3e38, 3e38).astype(np.float32)
    query = (rng.standard_normal(8) * scale).clip(-3e38, 3e38).astype(np.float32)
    found = backend.search(fill(rows, metric), query, limit=limit)
    exact = _exact(metric, rows.astype(float), query.astype(float))
    best = np.lexsort((np.arange(50), -exact))[:limit]
    assert [match.id.int for match in found] == best.tolist()
    assert [match.score for match in found] == pytest.approx(exact[best], rel=1e-12)


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_giants_among_small_vectors(backend, fill, metric):
    """Products with the giants overflow float32, and the others' are tiny beside them."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((60, 4)).astype(np.float32)
    rows[::7] *= np.float32(8e37)
    query = np.array([2e38, -2e38, 1e38, 3e38], np.float32)
    for vector in (query, rows[1]):
        found = backend.search(fill(rows, metric), vector, limit=12)
        exact = _exact(metric, rows.astype(float), vector.astype(float))
        assert [match.id.int for match in found] == np.argsort(-exact, kind="stable")[:12].tolist()


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_products_that_overflow(backend, fill, numbers, metric):
    rows = [[1e38] * 4, [3.1e38] * 4, [1] * 4, [-3e38] * 4, [3e38] * 4, [3e38, -3e38, 3e38, -3e38]]
    assert numbers(fill(rows, metric), [3e38] * 4, limit=2) == (
        [1, 4] if metric == "dot" else [4, 1]
    )


def test_what_float32_cannot_hold_is_refused(backend, fill):
    spec = fill(np.eye(2))
    with pytest.raises(InvalidVector, match="infinity"):
        backend.search(spec, [1e39, 0.0])


def test_no_number_is_left_out_of_a_zero_query(backend, fill, numbers):
    spec = fill([[1, 0], [3e38, 3e38], [-1, 1]], "dot")
    assert numbers(spec, [0, 0], limit=2) == [0, 1]


def _exact(metric, rows, query):
    if metric == "dot":
        return rows @ query
    return -np.linalg.norm(rows - query, axis=1)
