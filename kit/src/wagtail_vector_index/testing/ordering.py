"""Ties and thresholds among thousands of records, under filters, and asynchronously."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import METRICS, Metric, RecordBatch

from .event_loops import WAYS, AsyncHarness, Way
from .examples import seeded, sorted_ids
from .expect import expect, expect_ids
from .rules import about

__all__ = ["OrderTests"]

#: From the first of these, all scores are exact in any arithmetic.
DIRECTIONS = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]

#: A query for each metric, a function from a number to a vector, and the vector's score.
LINES: dict[Metric, tuple[list[float], list[tuple[list[float], float]]]] = {
    "cosine": (
        [1.0, 0.0],
        [([n + 1.0, 0.0], 1.0) for n in range(8)] + [([0.0, n + 1.0], 0.0) for n in range(8)],
    ),
    "dot": ([2.0, 0.0], [([n / 2, 1.0], float(n)) for n in range(-8, 9)]),
    "euclidean": ([0.0, 0.0], [([3.0 * n, 4.0 * n], -5.0 * n) for n in range(17)]),
}


class OrderTests(AsyncHarness):
    @about("equal-scores-are-ordered-by-id")
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("metric", METRICS)
    def test_ties_at_larger_limits(self, metric: Metric, way: Way) -> None:
        spec = self.collection(metric, dimensions=2, fields={"kind": "str"})
        ids = sorted_ids(min(2_400, self.at_most // 6 * 6), seed=11)
        rows = list(enumerate(ids))
        seeded(12).shuffle(rows)
        batch = RecordBatch.of(
            ids=[id for _, id in rows],
            vectors=[DIRECTIONS[row % 3] for row, _ in rows],
            metadata=[{"kind": "even" if row % 2 == 0 else "odd"} for row, _ in rows],
        )
        self.backend.upsert(spec, batch)
        even, odd, neither = (
            [ids[row] for first in range(3) for row in range(first, len(ids), 3) if row % 2 in rest]
            for rest in ((0,), (1,), (0, 1))
        )
        kept = [(None, neither), (Q(kind="even"), even), (~Q(kind="even"), odd)]
        asked = list(product(kept, (1, 99, 399, 401, 500, 799, 801, 1_001, 2_399, 3_000)))
        # A threshold that keeps everything changes nothing.
        cases = [
            {"filter": keep, "limit": limit, "min_score": -9.0 if limit > 800 else None}
            for (keep, _), limit in asked
        ]
        answers = self.ask_each(way, "search", spec, DIRECTIONS[0], cases=cases)
        for ((keep, expected), limit), matches in zip(asked, answers, strict=True):
            found = [match.id for match in matches]
            rule = f"Equal scores are ordered by id (limit={limit}, filter: {keep})."
            expect_ids(found, expected[:limit], rule, "search()")
            expect(found == expected[:limit], rule)

    @about("thresholds")
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("metric", METRICS)
    def test_thresholds_at_exact_scores(self, metric: Metric, way: Way) -> None:
        spec = self.collection(metric, dimensions=2, fields={"row": "int", "kind": "str"})
        query, line = LINES[metric]
        rows = [*enumerate(line)]
        ids = sorted_ids(len(rows), seed=13)
        batch = RecordBatch.of(
            ids=ids,
            vectors=[vector for _, (vector, _) in rows],
            metadata=[{"row": row, "kind": "even" if row % 2 == 0 else "odd"} for row, _ in rows],
        )
        self.backend.upsert(spec, batch)
        filters: list[tuple[Q | None, Callable[[int], bool]]] = [
            (None, lambda row: True),
            (Q(kind="even"), lambda row: row % 2 == 0),
            (~Q(kind="even"), lambda row: row % 2 == 1),
            (Q(row__gte=3) & ~Q(row=5), lambda row: row >= 3 and row != 5),
        ]
        thresholds = sorted({score for _, score in line})
        asked = list(product(thresholds, filters, (3, 1_000)))
        cases = [
            {"min_score": min_score, "filter": keep, "limit": limit}
            for min_score, (keep, _), limit in asked
        ]
        answers = self.ask_each(way, "search", spec, query, cases=cases)
        for (min_score, (keep, keeps), limit), matches in zip(asked, answers, strict=True):
            right = [
                (-score, ids[row]) for row, (_, score) in rows if score >= min_score and keeps(row)
            ]
            expected = [id for _, id in sorted(right)]
            found = [match.id for match in matches]
            rule = (
                f"min_score={min_score} keeps the matches with exactly this score"
                f" (limit={limit}, filter: {keep})."
            )
            expect_ids(found, expected[:limit], rule, "search()")
