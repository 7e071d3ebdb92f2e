"""Wrong vectors are refused before the backend uses its store."""

from __future__ import annotations

import math
from typing import Any

import pytest

from wagtail_vector_index.contract import METRICS, CollectionSpec, Metric, RecordBatch
from wagtail_vector_index.exceptions import InvalidVector

from .examples import id_of, random_vectors, sorted_ids
from .expect import expect_equal, expect_error, expect_metadata
from .harness import Harness
from .rules import about

__all__ = ["InvalidVectorTests"]

BAD_VECTORS: dict[str, list[float]] = {
    "nan": [1.0, math.nan, 0.0, 0.0],
    "infinity": [1.0, math.inf, 0.0, 0.0],
    "minus infinity": [1.0, 0.0, 0.0, -math.inf],
    "both infinities": [math.inf, -math.inf, 0.0, 0.0],
    "beyond float32": [1e39, 0.0, 0.0, 0.0],
    "short": [1.0, 2.0, 3.0],
    "long": [1.0, 2.0, 3.0, 4.0, 5.0],
}


class InvalidVectorTests(Harness):
    @about("wrong-vectors-are-refused")
    @pytest.mark.parametrize("metric", METRICS)
    def test_upsert_of_a_bad_vector(self, metric: Metric) -> None:
        spec = self.collection(metric)
        for vector in BAD_VECTORS.values():
            self.writes_nothing(spec, vector)

    @about("zero-vectors")
    def test_upsert_of_a_zero_vector_under_cosine(self) -> None:
        spec = self.collection("cosine")
        for tiny in (0.0, 1e-60):
            self.writes_nothing(spec, [tiny, 0.0, 0.0, 0.0])

    def writes_nothing(self, spec: CollectionSpec, vector: list[float]) -> None:
        """Fail if a batch whose last vector is bad changes anything."""
        self.describe(spec, {"kept": {"n": 1}})
        [before] = self.backend.get(spec, [id_of("kept")])
        self.cap_batches(records=2)
        ids = [id_of("kept"), *sorted_ids(5)]
        # A batch is one buffer, so all its vectors have the same size, also a wrong one.
        others = random_vectors(5, len(vector), seed=9)
        with expect_error(InvalidVector, f"upsert() under {spec.metric} refuses {vector}."):
            self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=[*others, vector]))
        rule = "No record of a batch with a bad vector is written."
        expect_equal(self.names(spec), [id_of("kept")], rule)
        [after] = self.backend.get(spec, [id_of("kept")])
        expect_equal(after, before, rule)

    @about("wrong-vectors-are-refused")
    @pytest.mark.parametrize("metric", METRICS)
    def test_search_by_a_bad_vector(self, metric: Metric) -> None:
        spec = self.collection(metric)
        self.put(spec, {"a": [1, 2, 3, 4]})
        no_vectors: list[Any] = ["1234", b"\x00" * 16, ["a"] * 4, None, 1.0, [[1.0] * 4]]
        for vector in [*BAD_VECTORS.values(), *no_vectors]:
            with expect_error(InvalidVector, f"search() refuses the query {vector!r}."):
                self.backend.search(spec, vector)

    @about("zero-vectors")
    def test_search_by_a_zero_vector_under_cosine(self) -> None:
        spec = self.collection("cosine")
        with expect_error(InvalidVector, "A zero vector has no direction."):
            self.backend.search(spec, [0.0] * 4)

    @about("errors-change-nothing")
    @pytest.mark.parametrize("metric", METRICS)
    def test_nothing_is_lost_after_an_error(self, metric: Metric) -> None:
        spec = self.collection(metric)
        self.describe(spec, {"a": {"n": 1}})
        for bad in BAD_VECTORS.values():
            with expect_error(InvalidVector, "A bad vector is refused."):
                self.backend.upsert(spec, RecordBatch.of(ids=[id_of("a")], vectors=[bad]))
        [record] = self.backend.get(spec, [id_of("a")])
        expect_metadata(record.metadata, {"n": 1})
        self.describe(spec, {"b": {"n": 2}})
        expect_equal(self.backend.count(spec), 2, "The backend can be used after an error.")
