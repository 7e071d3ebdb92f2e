"""Searches by signs first: complete, with exact scores, and hardly ever missing a match."""

from __future__ import annotations

import math
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.numpy.metrics import Query
from wagtail_vector_index.backends.numpy.quantized import QuantizedVectors
from wagtail_vector_index.backends.numpy.signs import Signs
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.exceptions import InvalidOptions

ROWS, DIMENSIONS = 6_000, 128
SPEC = CollectionSpec(name="c", dimensions=DIMENSIONS, fields={"n": "int"})


@pytest.fixture(autouse=True)
def quantized_when_small(monkeypatch):
    monkeypatch.setattr(QuantizedVectors, "exact_rows", 500)


@cache
def texts_alike():
    """Vectors in 40 heaps, all of them on one side of zero: so are those of texts."""
    random = np.random.default_rng(0)
    subjects = random.standard_normal((40, DIMENSIONS)) + 3 * random.standard_normal(DIMENSIONS)
    vectors = subjects[random.integers(40, size=ROWS + 50)]
    vectors = (vectors + 0.6 * random.standard_normal(vectors.shape)).astype(np.float32)
    return vectors[:ROWS], vectors[ROWS:]


def _backend(**options):
    return NumpyBackend("default", NumpyBackend.Options(quantization="binary", **options))


def _batch(numbers, vectors):
    return RecordBatch(
        ids=b"".join(int(n).to_bytes(16, "big") for n in numbers),
        vectors=np.ascontiguousarray(vectors, np.float32).tobytes(),
        metadata=[f'{{"n":{n}}}' for n in numbers],
        dimensions=vectors.shape[1],
    )


def _filled(vectors, spec=SPEC, **options):
    backend = _backend(**options)
    backend.create(spec)
    backend.upsert(spec, _batch(range(len(vectors)), vectors))
    return backend


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _recall(backend, vectors, queries, limit=10, filter=None, kept=None):
    """The share of the nearest that is found; the scores of all that is found are right."""
    numbers = np.arange(len(vectors)) if kept is None else kept
    hits = 0
    for query in queries:
        scores = _unit(vectors[numbers].astype(float)) @ _unit(query.astype(float))
        best = set(numbers[np.argsort(-scores)[:limit]].tolist())
        found = backend.search(SPEC, query, limit=limit, filter=filter)
        assert len(found) == limit
        assert [match.score for match in found] == sorted((m.score for m in found), reverse=True)
        right = dict(zip(numbers.tolist(), scores.tolist(), strict=True))
        for match in found:
            assert match.score == pytest.approx(right[match.id.int], abs=1e-6)
        hits += len(best & {match.id.int for match in found})
    return hits / len(queries) / limit


def test_next_to_nothing_is_missed():
    vectors, queries = texts_alike()
    assert _recall(_filled(vectors, oversampling=3.0), vectors, queries[:30]) >= 0.99


def test_vectors_on_one_side_of_zero_are_told_apart():
    """Without a centre, most of the signs are those of all vectors."""
    vectors, queries = texts_alike()
    centred = Signs(_unit(vectors).mean(axis=0))
    plain = Signs(np.zeros(DIMENSIONS, np.float32))
    needed = []
    for signs in (centred, plain):
        signs.resize(ROWS)
        signs.write(slice(0, ROWS), _unit(vectors))
        ranks = []
        for query in _unit(queries):
            distances = signs.distances(query, ROWS, None)
            nearest = np.argsort(-(_unit(vectors) @ query))[:10]
            ranks.append(np.count_nonzero(distances <= distances[nearest].max()))
        needed.append(np.median(ranks))
    assert 1.3 * needed[0] < needed[1]


def test_a_search_multiplies_few_rows():
    vectors, queries = texts_alike()
    backend = _filled(vectors, oversampling=3.0)
    stored = backend._by_name["c"]._vectors
    exact = np.arange(ROWS)
    for query in queries[:5]:
        asked = Query.of(memoryview(query))
        few = stored._likeliest(asked, 10, None)
        assert 3 * 10 * math.cbrt(ROWS / 10) <= len(few) < 0.15 * ROWS
        assert stored._likeliest(asked, 10, exact).tolist() == few.tolist()
        assert stored._likeliest(asked, 2_000, None) is None
        assert stored._likeliest(asked, 10, exact[:400]) is not None


@pytest.mark.parametrize("share", [0.02, 0.2, 0.7])
def test_filters(share):
    vectors, queries = texts_alike()
    backend = _filled(vectors, oversampling=3.0)
    most = int(share * ROWS)
    kept = np.arange(most)
    recall = _recall(backend, vectors, queries[:15], filter=Q(n__lt=most), kept=kept)
    assert recall >= (1.0 if most <= 500 else 0.98)


def test_a_filter_that_keeps_the_furthest():
    vectors, queries = texts_alike()
    order = np.argsort(vectors @ queries[0])
    backend = _filled(vectors[order], oversampling=3.0)
    found = backend.search(SPEC, queries[0], limit=400, filter=Q(n__lt=1_000))
    assert len(found) == 400
    assert all(match.id.int < 1_000 for match in found)


def test_thresholds_and_limits():
    vectors, queries = texts_alike()
    backend = _filled(vectors, oversampling=3.0)
    scores = [match.score for match in backend.search(SPEC, queries[0], limit=10)]
    assert len(backend.search(SPEC, queries[0], limit=10, min_score=scores[4])) == 5
    assert len(backend.search(SPEC, queries[0], limit=ROWS + 1)) == ROWS
    assert len(backend.search(SPEC, queries[0], limit=10**400)) == ROWS
    assert backend.search(SPEC, queries[0], min_score=1.0) == []


def test_equal_vectors_are_found_in_the_order_of_their_ids():
    """They have equal signs: either all of them are candidates, or none."""
    vectors, queries = texts_alike()
    vectors = vectors.copy()
    vectors[::3] = queries[0]
    numbers = np.random.default_rng(1).permutation(ROWS)
    backend = _backend(oversampling=1.0)
    backend.create(SPEC)
    backend.upsert(SPEC, _batch(numbers, vectors))
    found = [match.id.int for match in backend.search(SPEC, queries[0], limit=7)]
    assert found == sorted(numbers[::3].tolist())[:7]


def test_nothing_but_equal_vectors():
    backend = _filled(np.tile(np.arange(1, 1 + DIMENSIONS), (1_000, 1)))
    found = backend.search(SPEC, np.ones(DIMENSIONS), limit=3)
    assert [match.id.int for match in found] == [0, 1, 2]


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_other_metrics_are_searched_exactly(metric):
    vectors, queries = texts_alike()
    spec = CollectionSpec(name="c", dimensions=DIMENSIONS, metric=metric, fields={"n": "int"})
    quantized, plain = _filled(vectors, spec), NumpyBackend("default", NumpyBackend.Options())
    plain.create(spec)
    plain.upsert(spec, _batch(range(ROWS), vectors))
    for query in queries[:10]:
        assert quantized.search(spec, query, limit=30) == plain.search(spec, query, limit=30)


def test_small_collections_are_searched_exactly():
    vectors, queries = texts_alike()
    backend = _filled(vectors[:500], oversampling=1.0)
    assert backend._by_name["c"]._vectors._signs is None
    assert _recall(backend, vectors[:500], queries) == 1.0


@pytest.mark.parametrize("dimensions", [1, 63, 64, 65, 300])
def test_signs_are_compared_as_they_are(dimensions):
    random = np.random.default_rng(2)
    vectors = random.standard_normal((100, dimensions), np.float32)
    query, centre = random.standard_normal((2, dimensions), np.float32)
    signs = Signs(centre)
    signs.resize(100)
    signs.write(np.arange(100), vectors)
    expected = ((vectors > centre) != (query > centre)).sum(axis=1)
    assert signs.distances(query, 100, None).tolist() == expected.tolist()
    for rows in (np.arange(0, 100, 7), np.arange(3, 100)):
        assert signs.distances(query, 100, rows).tolist() == expected[rows].tolist()


def test_more_signs_than_two_bytes_can_count():
    signs = Signs(np.zeros(66_000, np.float32))
    signs.resize(1)
    signs.write(np.arange(1), np.ones((1, 66_000), np.float32))
    assert signs.distances(-np.ones(66_000, np.float32), 1, None).tolist() == [66_000]


@example(steps=[("upsert", 0, 22), ("upsert", 1, 21), ("upsert", 9, 23)])  # replace, then append
@settings(max_examples=int(os.environ.get("NUMPY_TEST_RUNS", "25")))
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["upsert", "delete"]), st.integers(0, 99), st.integers(1, 60)),
        min_size=1,
        max_size=15,
    )
)
def test_signs_follow_every_change(steps):
    """Whatever was written, moved and deleted: the signs are those of the rows."""
    random = np.random.default_rng(3)
    backend = _backend()
    spec = CollectionSpec(name="c", dimensions=70)
    backend.create(spec)
    model = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuantizedVectors, "exact_rows", 20)
        for step, first, count in steps:
            numbers = [(7 * first + 3 * n) % 100 for n in range(min(count, 33))]
            if step == "upsert":
                vectors = random.standard_normal((len(numbers), 70), np.float32)
                backend.upsert(spec, _batch(numbers, vectors))
                model |= dict(zip(numbers, vectors, strict=True))
            else:
                backend.delete(spec, [UUID(int=n) for n in numbers])
                for number in numbers:
                    model.pop(number, None)
            _compare(backend, spec, model, random.standard_normal(70))


def _compare(backend, spec, model, query):
    stored = backend._by_name["c"]._vectors
    assert (stored._signs is not None) >= (len(model) > 20)
    if signs := stored._signs:
        rows = stored.take(np.arange(len(model)))
        for row, vector in enumerate(rows):
            assert signs.distances(vector, len(model), None)[row] == 0
    found = {match.id.int: match.score for match in backend.search(spec, query, limit=100)}
    assert found == pytest.approx(
        {number: float(_unit(vector) @ _unit(query)) for number, vector in model.items()},
        abs=1e-6,
    )


def test_the_centre_is_chosen_again():
    """What was loaded first need not be like what comes later."""
    vectors, _ = texts_alike()
    backend = _filled(vectors[:1_000])
    signs = backend._by_name["c"]._vectors._signs
    backend.upsert(SPEC, _batch(range(1_000, 1_500), -vectors[:500]))
    assert backend._by_name["c"]._vectors._signs is signs
    backend.upsert(SPEC, _batch(range(1_000, 1_500), -vectors[500:1_000]))
    assert backend._by_name["c"]._vectors._signs is not signs


def test_the_centre_is_chosen_again_for_fewer():
    vectors, _ = texts_alike()
    backend = _filled(vectors)
    backend.delete(SPEC, [UUID(int=n) for n in range(1_000, len(vectors))])
    signs = backend._by_name["c"]._vectors._signs
    backend.upsert(SPEC, _batch(range(1_000), -vectors[:1_000]))
    assert backend._by_name["c"]._vectors._signs is not signs


def test_signs_take_a_thirty_second_of_the_vectors():
    vectors, _ = texts_alike()
    backend = _filled(vectors)
    stored = backend._by_name["c"]._vectors
    signs = stored._signs.nbytes
    assert ROWS * DIMENSIONS // 8 <= signs <= 1.5 * ROWS * DIMENSIONS // 8
    assert stored.nbytes == 4 * ROWS * DIMENSIONS + signs
    backend.delete(SPEC, [UUID(int=n) for n in range(ROWS - 100)])
    assert stored.nbytes == 4 * 100 * DIMENSIONS


def test_a_search_takes_little_memory():
    """Two bytes a row for the distances, what is compared at a time, and the candidates."""
    vectors, queries = texts_alike()
    spec = CollectionSpec(name="c", dimensions=DIMENSIONS)
    backend = _backend(oversampling=1.0)
    backend.create(spec)
    count = 100_000
    backend.upsert(spec, _batch(range(count), np.resize(vectors, (count, DIMENSIONS))))
    backend.search(spec, queries[0])
    tracemalloc.start()
    try:
        backend.search(spec, queries[1])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * count + 2**20


def test_a_change_costs_the_same_in_any_collection():
    vectors, _ = texts_alike()
    peaks = []
    for count in (1_000, 6_000):
        backend = _filled(vectors[:count])
        backend.upsert(SPEC, _batch(range(10_000, 10_010), vectors[:10]))
        batch = _batch([3, 5, 20_000, 20_001], vectors[10:14])
        tracemalloc.start()
        try:
            backend.upsert(SPEC, batch)
            backend.delete(SPEC, [UUID(int=n) for n in (5, 20_000)])
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 4_096


def test_searches_while_others_write():
    """Record n holds vector n, or comes and goes."""
    vectors, _ = texts_alike()
    backend = _filled(vectors[:3_000], oversampling=2.0)

    def write(first):
        for turn in range(12):
            numbers = range(first + 40 * turn, first + 40 * turn + 40)
            backend.delete(SPEC, [UUID(int=n) for n in numbers])
            backend.upsert(SPEC, _batch(numbers, vectors[list(numbers)]))
            extra = range(3_000 + 100 * turn, 3_100 + 100 * turn)
            backend.upsert(SPEC, _batch(extra, vectors[list(extra)]))

    def search(first):
        for n in range(first, first + 60):
            [best] = backend.search(SPEC, vectors[n], limit=1)
            assert (best.id.int, best.score) == (n, 1.0)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(write, first) for first in (0, 500)]
        done += [pool.submit(search, first) for first in (1_000, 2_000)]
        for future in done:
            future.result(timeout=60)
    assert backend.count(SPEC) == 4_200


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("QUANTIZATION", "scalar", "'QUANTIZATION' must be one of 'none', 'binary'"),
        ("OVERSAMPLING", 0.5, "'OVERSAMPLING' must be a finite number of at least 1, not 0.5"),
        ("OVERSAMPLING", math.nan, "'OVERSAMPLING' must be a finite number of at least 1"),
        ("OVERSAMPLING", math.inf, "'OVERSAMPLING' must be a finite number of at least 1"),
    ],
)
def test_wrong_options(option, value, problem):
    with pytest.raises(InvalidOptions, match=problem):
        parse_options(NumpyBackend.Options, {option: value}, "HERE")
