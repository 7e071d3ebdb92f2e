"""Order, ties, limits and thresholds of a search."""

from __future__ import annotations

import math
from typing import Any

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import METRICS, Metric, RecordBatch
from wagtail_vector_index.exceptions import InvalidQuery

from .examples import random_vectors, seeded, sorted_ids
from .expect import expect_equal, expect_error, expect_ranking
from .harness import Harness
from .judging import score
from .rules import about

__all__ = ["RankingTests"]

LINE = [[2.0, 0.0], [6.0, 0.0], [0.0, 2.0], [0.0, 1.0], [-1.0, 0.0], [-2.0, 0.0]]
# min_score, and the number of vectors in LINE that a search from (2, 0) finds
THRESHOLDS: dict[Metric, list[tuple[float, int]]] = {
    "cosine": [(2.0, 0), (1.0, 2), (0.5, 2), (0.0, 4), (-0.5, 4), (-1.0, 6), (-7.0, 6)],
    "dot": [(12.5, 0), (12.0, 1), (4.0, 2), (0.0, 4), (-2.0, 5), (-4.0, 6)],
    "euclidean": [(0.5, 0), (0.0, 1), (-2.0, 1), (-2.5, 2), (-3.0, 4), (-4.0, 6), (-100.0, 6)],
}


class RankingTests(Harness):
    @about("equal-scores-are-ordered-by-id")
    @pytest.mark.parametrize("metric", METRICS)
    def test_equal_scores_are_ordered_by_id(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=2, fields={"kind": "str"})
        ids = sorted_ids(60)
        # Two groups of equal vectors, whose scores are exact in any arithmetic.
        rows = [(id, [1.0, 0.0] if row % 2 else [0.0, 1.0]) for row, id in enumerate(ids)]
        seeded(1).shuffle(rows)
        batch = RecordBatch.of(
            ids=[id for id, _ in rows],
            vectors=[vector for _, vector in rows],
            metadata=[{"kind": "even" if id.int % 2 == 0 else "odd"} for id, _ in rows],
        )
        self.backend.upsert(spec, batch)
        self.backend.upsert(spec, batch[10:20])
        expected = ids[1::2] + ids[0::2]
        for limit in (1, 2, 7, 30, 31, 45, 60, 100):
            found = [match.id for match in self.backend.search(spec, [1.0, 0.0], limit=limit)]
            rule = f"Equal scores are ordered by id, also if limit={limit} cuts between them."
            expect_equal(found, expected[:limit], rule)
        even = [id for id in expected if id.int % 2 == 0]
        matches = self.backend.search(spec, [1.0, 0.0], limit=5, filter=Q(kind="even"))
        rule = "Equal scores are ordered by id, also with a filter."
        expect_equal([match.id for match in matches], even[:5], rule)

    @about("limits")
    def test_limit(self) -> None:
        spec = self.collection()
        vectors = dict(zip(sorted_ids(25), random_vectors(25, 4), strict=True))
        self.backend.upsert(spec, RecordBatch.of(ids=vectors, vectors=vectors.values()))
        query = [1.0, 2.0, -1.0, 0.5]
        scores = {id: score(spec.metric, query, vector) for id, vector in vectors.items()}
        for limit in (1, 2, 24, 25, 26, 1_000_000, 2**31, 2**63):
            expect_ranking(self.backend.search(spec, query, limit=limit), scores, limit=limit)
        expect_ranking(self.backend.search(spec, query), scores, limit=10)

    @about("batches-of-any-size")
    def test_limit_across_batches(self) -> None:
        spec = self.collection()
        self.cap_batches(records=4)
        vectors = dict(zip(sorted_ids(25), random_vectors(25, 4), strict=True))
        self.backend.upsert(spec, RecordBatch.of(ids=vectors, vectors=vectors.values()))
        scores = {id: score(spec.metric, [1, 1, 1, 1], vector) for id, vector in vectors.items()}
        expect_ranking(self.backend.search(spec, [1, 1, 1, 1], limit=6), scores, limit=6)

    @about("limits")
    def test_wrong_limit(self) -> None:
        spec = self.collection()
        limits: list[Any] = [0, -1, 1.0, True, "3", None]
        for limit in limits:
            with expect_error(InvalidQuery, f"limit={limit!r} is an error."):
                self.backend.search(spec, [1.0, 0.0, 0.0, 0.0], limit=limit)

    @about("thresholds")
    @pytest.mark.parametrize("metric", METRICS)
    def test_min_score(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=2)
        self.backend.upsert(spec, RecordBatch.of(ids=sorted_ids(6), vectors=LINE))
        for min_score, expected in THRESHOLDS[metric]:
            found = self.backend.search(spec, [2.0, 0.0], min_score=min_score)
            scores = [match.score for match in found]
            rule = f"min_score={min_score} keeps the matches with that score or a higher one."
            expect_equal(len(found), expected, f"{rule} Scores: {scores}.")

    @about("thresholds")
    @pytest.mark.parametrize("metric", METRICS)
    def test_min_score_with_limit_and_filter(self, metric: Metric) -> None:
        spec = self.collection(metric, fields={"row": "int"})
        vectors = dict(zip(sorted_ids(40), random_vectors(40, 4), strict=True))
        metadata = [{"row": row} for row in range(40)]
        batch = RecordBatch.of(ids=vectors, vectors=vectors.values(), metadata=metadata)
        self.backend.upsert(spec, batch)
        query = [2.0, 1.0, -1.0, 0.5]
        scores = {id: score(metric, query, vector) for id, vector in list(vectors.items())[20:]}
        for min_score in sorted(scores.values())[::4]:
            threshold = min_score - 0.01
            for limit in (3, 100):
                found = self.backend.search(
                    spec, query, limit=limit, min_score=threshold, filter=Q(row__gte=20)
                )
                expect_ranking(found, scores, limit=limit, min_score=threshold)

    @about("thresholds")
    @pytest.mark.parametrize("metric", METRICS)
    def test_min_score_of_any_magnitude(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=2)
        self.backend.upsert(spec, RecordBatch.of(ids=sorted_ids(6), vectors=LINE))
        for size in (1e6, 1e300, math.inf):
            for min_score, expected in ((-size, 6), (size, 0)):
                found = self.backend.search(spec, [2.0, 0.0], min_score=min_score)
                rule = f"min_score={min_score} keeps the matches with that score or a higher one."
                expect_equal(len(found), expected, rule)

    @about("thresholds")
    def test_wrong_min_score(self) -> None:
        spec = self.collection()
        scores: list[Any] = [float("nan"), "0.5", True, [0.5], 10**400]
        for min_score in scores:
            with expect_error(InvalidQuery, f"min_score={min_score!r} is an error."):
                self.backend.search(spec, [1.0, 0.0, 0.0, 0.0], min_score=min_score)
