"""Vectors of any length are ranked correctly, or refused, but never ranked wrongly."""

from __future__ import annotations

import math

import pytest

from wagtail_vector_index.contract import METRICS, Metric, RecordBatch
from wagtail_vector_index.exceptions import InvalidVector

from .event_loops import WAYS, AsyncHarness, Way
from .examples import random_vectors, sorted_ids
from .expect import expect_ids, expect_ranking
from .judging import score
from .rules import about

__all__ = ["MagnitudeTests"]

#: Lengths of vectors. Above the last one, a backend may refuse them.
LENGTHS = [1e-9, 1e-4, 1.0, 1e4, 1e9, 1e15]
SAFE = 1e18


class MagnitudeTests(AsyncHarness):
    @about("vectors-of-any-length")
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("metric", METRICS)
    def test_vectors_of_any_length(self, metric: Metric, way: Way) -> None:
        for length in (*LENGTHS, 1e20, 1e30, 1e37):
            spec = self.collection(metric, dimensions=5)
            ids = sorted_ids(30, seed=41)
            vectors = [scaled(vector, length) for vector in random_vectors(30, 5, seed=42)]
            batch = RecordBatch.of(ids=ids, vectors=vectors)
            [query] = [scaled(vector, length) for vector in random_vectors(1, 5, seed=43)]
            try:
                self.ask(way, "upsert", spec, batch)
                found = {
                    limit: self.ask(way, "search", spec, query, limit=limit) for limit in (2, 30)
                }
            except InvalidVector:
                if length <= SAFE:
                    raise
                continue
            # As the store has them: float32.
            stored = [tuple(batch.vector(row)) for row in range(30)]
            [asked] = [tuple(RecordBatch.of(ids=ids[:1], vectors=[query]).vector(0))]
            scores = {
                id: score(metric, asked, vector) for id, vector in zip(ids, stored, strict=True)
            }
            for limit, matches in found.items():
                rule = f"A search among vectors of length {length:g} finds records."
                expect_ids([match.id for match in matches][limit:], [], rule, "search()")
                expect_ranking(matches, scores, limit=limit)

    @about("vectors-of-any-length")
    @pytest.mark.parametrize("metric", METRICS)
    def test_lengths_of_all_kinds_in_one_collection(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=3, fields={})
        vectors = [
            scaled(vector, LENGTHS[row % len(LENGTHS)])
            for row, vector in enumerate(random_vectors(120, 3, seed=44))
        ]
        ids = sorted_ids(len(vectors), seed=45)
        batch = RecordBatch.of(ids=ids, vectors=vectors)
        self.backend.upsert(spec, batch)
        for length in LENGTHS:
            query = scaled([3.0, -2.0, 1.0], length)
            asked = tuple(RecordBatch.of(ids=ids[:1], vectors=[query]).vector(0))
            scores = {
                id: score(metric, asked, tuple(batch.vector(row))) for row, id in enumerate(ids)
            }
            for limit in (5, len(ids)):
                matches = self.backend.search(spec, query, limit=limit)
                expect_ranking(matches, scores, limit=limit)


def scaled(vector: list[float], length: float) -> list[float]:
    """Return a vector of the same direction and of this length."""
    factor = length / math.hypot(*vector)
    return [component * factor for component in vector]
