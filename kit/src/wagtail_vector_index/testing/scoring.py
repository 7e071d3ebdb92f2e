"""A score means the same on every backend: higher is nearer, and the numbers are equal."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import METRICS, Match, Metric, RecordBatch, Vector, float32

from .examples import id_of, random_vectors, sorted_ids
from .expect import expect, expect_equal, expect_matches, expect_ranking, expect_score
from .harness import Harness
from .judging import score
from .rules import about

__all__ = ["ScoringTests"]

# query, vector, score: calculated by hand
EXACT: dict[Metric, list[tuple[list[float], list[float], float]]] = {
    "cosine": [
        ([1, 0], [1, 0], 1.0),
        ([1, 0], [7, 0], 1.0),
        ([0.25, 0], [100, 0], 1.0),
        ([1, 0], [0, 3], 0.0),
        ([1, 0], [-5, 0], -1.0),
        ([2, 0], [3, 4], 0.6),
        ([10, 10], [-3, -4], -0.7 * math.sqrt(2)),
    ],
    "dot": [
        ([1, 0], [7, 0], 7.0),
        ([2, 3], [4, 5], 23.0),
        ([2, 3], [-4, -5], -23.0),
        ([2, 3], [3, -2], 0.0),
        ([0.5, 0.25], [0.5, 0.5], 0.375),
        ([100, 200], [300, 400], 110_000.0),
    ],
    "euclidean": [
        ([1, 2], [1, 2], 0.0),
        ([1, 2], [4, 6], -5.0),
        ([0, 0], [1, 1], -math.sqrt(2)),
        ([-1, 0], [1, 0], -2.0),
        ([100, 200], [100, 200.5], -0.5),
    ],
}

AS_QUERY: dict[str, Callable[[list[float]], Vector]] = {
    "tuple": tuple,
    "float array": lambda vector: array("f", vector),
    "double array": lambda vector: array("d", vector),
    "memoryview": lambda vector: memoryview(array("f", vector)),
}


class ScoringTests(Harness):
    @about("one-meaning-of-score")
    def test_matches_have_ids_and_scores(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": [1, 2, 3, 4]})

        # Before the base class sorts them, and fails if they are something else.
        def note(*arguments: Any) -> list[Match]:
            found: list[Match] = search(*arguments)
            expect_matches(found)
            return found

        search = self.replace("_search", note)
        expect_matches(self.backend.search(spec, [1, 2, 3, 4]))

    @about("one-meaning-of-score")
    @pytest.mark.parametrize("metric", METRICS)
    def test_score(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=2)
        for query, vector, expected in EXACT[metric]:
            self.put(spec, {"a": vector})
            found = self.backend.search(spec, query)
            rule = "Without min_score, records with low scores are found too."
            expect_equal([match.id for match in found], [id_of("a")], rule)
            expect_score(found[0].score, expected, f"The {metric} score of {query} and {vector}:")

    @about("one-meaning-of-score")
    @pytest.mark.parametrize("metric", METRICS)
    def test_nearest_first(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=2)
        # From (2, 1), all metrics give this order.
        rows = {
            "near": [2.0, 1.5],
            "middle": [1.5, -0.5],
            "far": [-1.0, 0.5],
            "against": [-4.0, -2.0],
        }
        self.put(spec, rows)
        found = [match.id for match in self.backend.search(spec, [2.0, 1.0])]
        expect_equal(found, [id_of(name) for name in rows], "The nearest record comes first.")

    @about("one-meaning-of-score")
    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("dimensions", [1, 3, 64])
    def test_ranking_of_random_vectors(self, metric: Metric, dimensions: int) -> None:
        spec = self.collection(metric, dimensions=dimensions)
        vectors = dict(zip(sorted_ids(200), random_vectors(200, dimensions), strict=True))
        self.backend.upsert(spec, RecordBatch.of(ids=vectors, vectors=vectors.values()))
        for query in random_vectors(3, dimensions, seed=1):
            scores = {id: score(metric, query, vector) for id, vector in vectors.items()}
            for limit in (1, 10, 199, 300):
                found = self.backend.search(spec, query, limit=limit)
                expect_ranking(found, scores, limit=limit)

    @about("one-meaning-of-score")
    @pytest.mark.parametrize("metric", METRICS)
    def test_every_component_counts(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=3_000)
        query, *rest = (list(vector) for vector in random_vectors(5, 3_000, seed=71))
        for row, vector in enumerate([query, *rest]):
            vector[-1] = 40.0 - 25.0 * row  # larger than all the others together
        vectors = dict(zip(sorted_ids(4), rest, strict=True))
        self.backend.upsert(spec, RecordBatch.of(ids=vectors, vectors=vectors.values()))
        scores = {id: score(metric, query, vector) for id, vector in vectors.items()}
        expect_ranking(self.backend.search(spec, query), scores, limit=10)

    @about("one-meaning-of-score")
    @pytest.mark.parametrize("metric", METRICS)
    def test_sums_of_thousands_of_like_numbers(self, metric: Metric) -> None:
        """In float32, each addition of the same number rounds the same way, so errors add up."""
        spec = self.collection(metric, dimensions=3_072)
        ids = sorted_ids(60, seed=72)
        vectors = [
            [0.07] * (3 * row) + [0.1] * (spec.dimensions - 3 * row) for row in range(len(ids))
        ]
        batch = RecordBatch.of(ids=ids, vectors=vectors)
        self.backend.upsert(spec, batch)
        component = -0.037 if metric == "euclidean" else 0.1
        query = float32([component] * spec.dimensions)
        scores = {id: score(metric, query, batch.vector(row)) for row, id in enumerate(ids)}
        for limit in (7, 20, 45, 60):
            expect_ranking(self.backend.search(spec, query, limit=limit), scores, limit=limit)

    @about("queries-of-any-kind")
    def test_query_stays_as_it_is(self) -> None:
        spec = self.collection(fields={"n": "int"})
        self.describe(spec, {"a": {"n": 1}, "b": {}})
        given = [2.0, 1.0, -1.0, 0.5]
        query = array("f", given)
        for filter in (None, Q(n=1)):
            self.backend.search(spec, query, filter=filter)
            rule = "A search does not change the vector of the query, which is the caller's."
            expect_equal(query.tolist(), given, rule)

    @about("one-meaning-of-score")
    @pytest.mark.parametrize("metric", METRICS)
    def test_vector_finds_itself(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=64)
        [vector] = random_vectors(1, 64)
        self.put(spec, {"a": vector})
        [match] = self.backend.search(spec, vector)
        expect_score(match.score, score(metric, vector, vector), "A vector compared with itself:")

    @about("cosine-looks-at-directions")
    def test_cosine_stays_in_its_range(self) -> None:
        spec = self.collection("cosine", dimensions=7)
        vectors = random_vectors(50, 7)
        opposites = [[-component for component in vector] for vector in vectors]
        batch = RecordBatch.of(ids=sorted_ids(100), vectors=[*vectors, *opposites])
        self.backend.upsert(spec, batch)
        for vector in vectors[:10]:
            found = [match.score for match in self.backend.search(spec, vector, limit=100)]
            expect_equal(len(found), 100, "Negative similarities are found too.")
            expect(max(found) <= 1 + 1e-6, f"No cosine is above 1, but one is {max(found)}.")
            expect(min(found) >= -1 - 1e-6, f"No cosine is below -1, but one is {min(found)}.")

    @about("cosine-looks-at-directions")
    @pytest.mark.parametrize("length", [1e-9, 1e-4, 1e4, 1e9])
    def test_cosine_knows_no_length(self, length: float) -> None:
        spec = self.collection("cosine", dimensions=3)
        self.put(spec, {"a": [0.6 * length, 0.8 * length, 0.0], "b": [0.0, 0.0, 1.0]})
        for scale in (1.0, length):
            found = self.backend.search(spec, [scale, 0.0, 0.0])
            expect_equal(
                found[0].id, id_of("a"), "Under cosine, the length of a vector does not matter."
            )
            expect_score(found[0].score, 0.6, f"The cosine of vectors of length {length}:")

    @about("zero-vectors")
    @pytest.mark.parametrize("metric", ["dot", "euclidean"])
    def test_zero_vectors_are_fine(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=2)
        self.put(spec, {"zero": [0, 0], "a": [3, 4]})
        for query in ([0.0, 0.0], [3.0, 4.0]):
            scores = {id_of("zero"): score(metric, query, [0, 0])}
            scores[id_of("a")] = score(metric, query, [3, 4])
            expect_ranking(self.backend.search(spec, query), scores, limit=10)

    @about("queries-of-any-kind")
    def test_queries_of_any_kind(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": [1, 2, 3, 4], "b": [4, 3, 2, 1]})
        query = [1.0, 0.5, 0.25, 2.0]
        for kind, convert in AS_QUERY.items():
            found = self.backend.search(spec, convert(query))
            expect_equal(found, self.backend.search(spec, query), f"A {kind} can be a query.")
