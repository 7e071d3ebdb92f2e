"""A filter never makes a search return fewer matches than there are."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import METRICS, CollectionSpec, Metric, RecordBatch

from .examples import seeded, sorted_ids
from .expect import expect_ranking
from .harness import Harness
from .judging import score
from .rules import about

__all__ = ["CompletenessTests"]

QUERY = [1.0, 0.0, 0.0, 0.0]


class CompletenessTests(Harness):
    @about("filters-are-complete")
    @pytest.mark.parametrize("metric", METRICS)
    def test_filter_that_keeps_the_farthest_few(self, metric: Metric) -> None:
        spec = self.collection(metric, fields={"section": "str", "row": "int"})
        count = min(2_000, self.at_most)
        vectors = self.fill(spec, count)
        self.backend.optimize(spec)
        far = dict(list(vectors.items())[-20:])
        for keep in (Q(section="archive"), ~Q(section="news"), Q(row__gte=count - 20)):
            self.complete(spec, far, keep)

    @about("filters-are-complete")
    def test_filter_that_keeps_the_farthest_half(self) -> None:
        spec = self.collection(fields={"section": "str", "row": "int"})
        vectors = self.fill(spec, 400)
        self.complete(spec, dict(list(vectors.items())[200:]), Q(row__gte=200))

    @about("filters-are-complete")
    def test_filter_that_keeps_nothing(self) -> None:
        spec = self.collection(fields={"section": "str", "row": "int"})
        self.fill(spec, 50)
        self.complete(spec, {}, Q(row__gt=1_000))

    def fill(self, spec: CollectionSpec, count: int) -> dict[UUID, list[float]]:
        """Write records in order of their distance from QUERY, the last 20 in the archive."""
        random = seeded(2)
        vectors = []
        for row in range(count):
            towards = 4 - 8 * row / count
            vectors.append([towards, *(random.randrange(-64, 64) / 64 for _ in range(3))])
        ids = sorted_ids(count)
        random.shuffle(ids)
        metadata = [
            {"section": "news" if row < count - 20 else "archive", "row": row}
            for row in range(count)
        ]
        batch = RecordBatch.of(ids=ids, vectors=vectors, metadata=metadata)
        self.backend.upsert(spec, batch)
        return dict(zip(ids, vectors, strict=True))

    def complete(self, spec: CollectionSpec, kept: dict[UUID, list[float]], keep: Q) -> None:
        scores = {id: score(spec.metric, QUERY, vector) for id, vector in kept.items()}
        for limit in (1, 10, 20, 500):
            found = self.backend.search(spec, QUERY, limit=limit, filter=keep)
            expect_ranking(found, scores, limit=limit)
