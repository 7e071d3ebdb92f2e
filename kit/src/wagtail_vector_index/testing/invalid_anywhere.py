"""Wrong input is found wherever it stands in a batch, and in vectors of thousands of components."""

from __future__ import annotations

import math
from typing import Any

import pytest

from wagtail_vector_index.contract import CollectionSpec, RecordBatch
from wagtail_vector_index.exceptions import InvalidRecord, InvalidVector

from .event_loops import WAYS, AsyncHarness, Way
from .examples import id_of, random_vectors, sorted_ids
from .expect import expect_equal, expect_error
from .rules import about

__all__ = ["InvalidAnywhereTests"]

#: So many rows that a batch has several parts, and rows in the first, the middle and the last.
ROWS = 1_300
PLACES = [0, 1, 3, 99, 101, 499, 501, 999, 1_001, ROWS - 2, ROWS - 1]
DIMENSIONS = 3_000
COMPONENTS = [0, 1, 17, 1_023, 1_025, 2_047, 2_500, DIMENSIONS - 1]

#: Numbers that no vector may have. Of the last, the sum is NaN, and each is infinite.
BAD_NUMBERS: dict[str, list[float]] = {
    "NaN": [math.nan],
    "infinity": [math.inf],
    "minus infinity": [-math.inf],
    "both infinities": [math.inf, -math.inf],
}


class InvalidAnywhereTests(AsyncHarness):
    def kept(self, spec: CollectionSpec) -> None:
        """Write the record that every refused batch would replace."""
        self.describe(spec, {"kept": {"n": 1}})

    def is_kept(self, spec: CollectionSpec) -> None:
        """Fail unless the collection holds this record, and no other."""
        rule = "Nothing of a refused batch is written or deleted."
        expect_equal(self.backend.count(spec), 1, rule)
        records = list(self.backend.get(spec, [id_of("kept")]))
        expect_equal([record.metadata for record in records], [{"n": 1}], rule)

    @about("wrong-vectors-are-refused")
    @pytest.mark.parametrize("way", WAYS)
    def test_bad_vectors_anywhere_in_a_batch(self, way: Way) -> None:
        spec = self.collection()
        self.kept(spec)
        self.cap_batches(records=500)
        ids = [id_of("kept"), *sorted_ids(ROWS - 1, seed=51)]
        vectors = random_vectors(ROWS, 4, seed=52)
        for place in PLACES:
            bad = [*vectors]
            bad[place] = [1.0, math.nan, 2.0, 3.0]
            batch = RecordBatch.of(ids=ids, vectors=bad)
            rule = f"upsert() refuses a batch with NaN in row {place} of {ROWS}."
            with expect_error(InvalidVector, rule):
                self.ask(way, "upsert", spec, batch)
        self.is_kept(spec)

    @about("wrong-vectors-are-refused")
    @pytest.mark.parametrize("kind", BAD_NUMBERS)
    def test_bad_components_anywhere_in_a_vector(self, kind: str) -> None:
        spec = self.collection(dimensions=DIMENSIONS)
        self.kept(spec)
        ids = [id_of("kept"), *sorted_ids(2, seed=53)]
        vectors = random_vectors(3, DIMENSIONS, seed=54)
        for place in COMPONENTS:
            bad = [*vectors[1]]
            for number, component in enumerate(BAD_NUMBERS[kind]):
                bad[place - number] = component
            batch = RecordBatch.of(ids=ids, vectors=[vectors[0], bad, vectors[2]])
            with expect_error(
                InvalidVector, f"upsert() refuses {kind} in component {place} of {DIMENSIONS}."
            ):
                self.backend.upsert(spec, batch)
            for way in WAYS:
                with expect_error(
                    InvalidVector, f"search() refuses {kind} in component {place} of {DIMENSIONS}."
                ):
                    self.ask(way, "search", spec, bad)
        self.is_kept(spec)

    @about("wrong-records-are-refused")
    @pytest.mark.parametrize("way", WAYS)
    def test_bad_metadata_anywhere_in_a_batch(self, way: Way) -> None:
        spec = self.collection(fields={"year": "int"})
        self.kept(spec)
        self.cap_batches(records=500)
        ids = [id_of("kept"), *sorted_ids(ROWS - 1, seed=55)]
        good = RecordBatch.of(ids=ids, vectors=random_vectors(ROWS, 4, seed=56))
        for number, place in enumerate(PLACES):
            texts = ['{"year": 1}'] * ROWS
            texts[place] = ['{"year": "1"}', "[]", '{"year": 1'][number % 3]
            batch = RecordBatch(
                ids=good.ids, vectors=good.vectors, metadata=texts, dimensions=good.dimensions
            )
            rule = f"upsert() refuses {texts[place]} in row {place} of {ROWS}."
            with expect_error(InvalidRecord, rule):
                self.ask(way, "upsert", spec, batch)
        self.is_kept(spec)

    @about("wrong-records-are-refused")
    @pytest.mark.parametrize("way", WAYS)
    def test_bad_ids_anywhere(self, way: Way) -> None:
        spec = self.collection()
        self.kept(spec)
        for place in PLACES:
            ids: list[Any] = [id_of("kept"), *sorted_ids(ROWS, seed=57)]
            ids[place + 1] = str(ids[place + 1])
            for method in ("delete", "get"):
                rule = f"{method}() refuses a text in place {place + 1} of {len(ids)} ids."
                with expect_error(InvalidRecord, rule):
                    self.ask(way, method, spec, ids)
        self.is_kept(spec)
