"""Scores are exact where a fast product is not, and equal vectors score the same."""

from __future__ import annotations

import numpy as np
import pytest
from django.db.models import Q

METRICS = ["cosine", "dot", "euclidean"]


def exact(metric, rows, query):
    rows, query = np.asarray(rows, np.float64), np.asarray(query, np.float64)
    if metric == "euclidean":
        return -np.linalg.norm(rows - query, axis=1)
    products = rows @ query
    if metric == "dot":
        return products
    return products / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("limit", [1, 10, 299, 300, 1000])
def test_like_brute_force(backend, fill, small_blocks, metric, limit):
    rows = np.random.default_rng(0).standard_normal((300, 33)).astype(np.float32)
    query = np.random.default_rng(1).standard_normal(33).astype(np.float32)
    found = backend.search(fill(rows, metric), query, limit=limit)
    scores = exact(metric, rows, query)
    best = np.argsort(-scores)[:limit]
    assert [match.id.int for match in found] == best.tolist()
    assert [match.score for match in found] == pytest.approx(scores[best], abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kept", [1, 5, 40, 60, 150, 299])
def test_like_brute_force_under_a_filter(backend, fill, small_blocks, metric, kept):
    """Few rows are gathered, many are picked out of all."""
    rng = np.random.default_rng(2)
    rows, query = rng.standard_normal((300, 7)), rng.standard_normal(7)
    rank = rng.permutation(300)
    spec = fill(rows, metric, metadata=[{"n": int(n)} for n in rank], fields={"n": "int"})
    found = backend.search(spec, query, limit=4, filter=Q(n__lt=kept))
    scores = exact(metric, rows, query)
    best = [int(row) for row in np.argsort(-scores) if rank[row] < kept][:4]
    assert [match.id.int for match in found] == best


@pytest.mark.parametrize("offset", [1.0, 1e3, 1e6])
def test_euclidean_near_the_query_and_far_from_zero(backend, fill, offset):
    """|x|² − 2x·q + |q|² would lose every digit here."""
    rng = np.random.default_rng(3)
    rows = (offset + rng.standard_normal((500, 64))).astype(np.float32)
    query = rows[7]
    found = backend.search(fill(rows, "euclidean"), query, limit=20)
    scores = exact("euclidean", rows, query)
    best = np.argsort(-scores, kind="stable")[:20]
    assert [match.id.int for match in found] == best.tolist()
    assert [match.score for match in found] == pytest.approx(scores[best], abs=1e-9)
    assert found[0].score == 0.0
    assert str(found[0].score) == "0.0"


@pytest.mark.parametrize("dimensions", [1, 3, 8, 100, 384, 1536])
def test_the_same_direction_scores_one(backend, fill, dimensions):
    rows = np.random.default_rng(4).standard_normal((50, dimensions)).astype(np.float32)
    spec = fill(rows)
    for row in range(0, 50, 7):
        best = backend.search(spec, 3 * rows[row], limit=50, min_score=1.0)
        assert row in {match.id.int for match in best}
        opposite = backend.search(spec, -rows[row], limit=50)[-1]
        assert opposite.score == -1.0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimensions", [1, 5, 67, 384])
def test_equal_vectors_are_found_in_the_order_of_their_ids(
    backend, fill, numbers, small_blocks, metric, dimensions
):
    """Wherever they stand and however they got there."""
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((700, dimensions)).astype(np.float32)
    rows[::3] = rows[0]
    ids = rng.permutation(700)
    spec = fill(rows, metric, ids=ids)
    fill(rows[::9], metric, ids=ids[::9])
    twins = sorted(ids[::3].tolist())
    found = backend.search(spec, rows[0], limit=700)
    scores = {match.id.int: match.score for match in found}
    assert len({scores[id] for id in twins}) == 1
    assert [match.id.int for match in found if match.id.int in set(twins)] == twins
    if metric == "euclidean" or (metric == "cosine" and dimensions > 1):
        assert numbers(spec, rows[0], limit=5) == twins[:5]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-12, 1e-11, 1e-10, 1e-9, 1.0, 1e9])
def test_nothing_but_equal_vectors(backend, fill, numbers, small_blocks, metric, scale):
    rng = np.random.default_rng(10)
    spec = fill(np.tile(rng.standard_normal(37), (403, 1)), metric, ids=rng.permutation(403))
    for query in scale * rng.standard_normal((20, 37)):
        assert numbers(spec, query, limit=5) == [0, 1, 2, 3, 4]
        assert numbers(spec, query, limit=500) == list(range(403))


@pytest.mark.parametrize("metric", METRICS)
def test_ties_at_the_end_of_the_list(backend, fill, numbers, metric):
    best, rest = [4.0, 1.0], [1.0, 2.0]
    spec = fill([rest, best, rest, rest, best, rest], metric, ids=[50, 9, 40, 30, 8, 20])
    assert numbers(spec, [4.0, 1.0], limit=4) == [8, 9, 20, 30]


def test_ids_are_ordered_as_numbers(backend, fill, numbers):
    ids = [2**127, 2**64, 2**63, 255, 256, 2**120 + 1, 1]
    spec = fill(np.ones((7, 2)), ids=ids)
    assert numbers(spec, [1, 1], limit=5) == sorted(ids)[:5]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("limit", [1, 10, 77, 400, 15_000])
def test_few_or_many_of_many(backend, fill, metric, limit):
    rows = np.random.default_rng(6).standard_normal((20_000, 8)).astype(np.float32)
    rows[::1_000] = rows[0]
    found = backend.search(fill(rows, metric), rows[3], limit=limit)
    scores = exact(metric, rows, rows[3])
    assert [match.score for match in found] == pytest.approx(
        np.sort(-scores)[:limit] * -1, abs=1e-6
    )
    assert len({match.id for match in found}) == limit


@pytest.mark.parametrize("metric", METRICS)
def test_min_score(backend, fill, metric):
    rows = np.random.default_rng(7).standard_normal((400, 5)).astype(np.float32)
    query = np.ones(5, np.float32)
    spec = fill(rows, metric)
    scores = np.sort(exact(metric, rows, query))[::-1]
    for position in (0, 10, 399):
        threshold = float(scores[position]) - 1e-4
        found = backend.search(spec, query, limit=400, min_score=threshold)
        assert len(found) == np.count_nonzero(scores >= threshold)
    assert backend.search(spec, query, min_score=float(scores[0]) + 1) == []


def test_cosine_gives_vectors_back_normalised(backend, fill):
    rows = np.random.default_rng(8).standard_normal((30, 6)).astype(np.float32)
    spec = fill(rows)
    batch = backend.get(spec, [])
    assert len(batch) == 0
    for record in next(backend.scan(spec)):
        expected = rows[record.id.int] / np.linalg.norm(rows[record.id.int])
        assert record.vector == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_other_metrics_give_vectors_back_as_they_were(backend, fill, metric):
    rows = (np.random.default_rng(9).standard_normal((30, 6)) * 1e20).astype(np.float32)
    for record in next(backend.scan(fill(rows, metric))):
        assert list(record.vector) == rows[record.id.int].tolist()
