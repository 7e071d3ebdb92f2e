"""count(), get() and scan() return exactly what is stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import METRICS, Metric, Record, RecordBatch
from wagtail_vector_index.exceptions import InvalidQuery

from .event_loops import WAYS, AsyncHarness, Way
from .examples import id_of, random_vectors, seeded, sorted_ids
from .expect import expect, expect_equal, expect_error, expect_metadata, expect_vector
from .rules import about

__all__ = ["ReadingTests"]


class ReadingTests(AsyncHarness):
    @about("counts-are-exact")
    @pytest.mark.parametrize("way", WAYS)
    def test_count(self, way: Way) -> None:
        self.go(way)
        spec = self.collection(fields={"year": "int"})
        self.describe(spec, {"a": {"year": 1}, "b": {"year": 2}, "c": {}})
        expect_equal(self.backend.count(spec), 3, "count() counts every record.")
        expect_equal(type(self.backend.count(spec)), int, "A count is an int.")
        expect_equal(
            self.backend.count(spec, Q(year=2)),
            1,
            "count() counts the records that match a filter.",
        )
        expect_equal(
            self.backend.count(spec, ~Q(year=2)),
            2,
            "count() counts the records that match a negated filter.",
        )
        expect_equal(self.backend.count(spec, Q()), 3, "An empty Q() matches everything.")

    @about("records-are-got-by-id")
    @pytest.mark.parametrize("way", WAYS)
    def test_get(self, way: Way) -> None:
        self.go(way)
        spec = self.collection()
        self.describe(spec, {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}})
        wanted = [id_of(name) for name in ("c", "never", "a", "c", "also never")]
        records = {record.id: record for record in self.backend.get(spec, iter(wanted))}
        got = self.backend.get(spec, wanted)
        expect_equal(len(got), 2, "get() returns each record that exists, once.")
        expect_equal(
            set(records), {id_of("a"), id_of("c")}, "get() returns the records of the given ids."
        )
        expect_metadata(records[id_of("c")].metadata, {"n": 3})

    @about("empty-batches-do-nothing")
    def test_get_nothing(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": [1, 2, 3, 4]})
        for ids in ([], [id_of("never")]):
            batch = self.backend.get(spec, ids)
            expect_equal(len(batch), 0, "get() of ids that do not exist returns an empty batch.")
            expect_equal(list(batch), [], "An empty batch can be iterated.")

    @about("batches-of-any-size")
    def test_get_beyond_the_limit_of_records(self) -> None:
        spec = self.collection()
        self.cap_batches(records=3)
        ids = sorted_ids(10)
        self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=random_vectors(10, 4)))
        got = self.backend.get(spec, [*ids, *sorted_ids(10, seed=1)])
        expect_equal(sorted(got.uuids), ids, "get() reads every part of a batch of ids.")

    @about("scans-give-each-record-once")
    @pytest.mark.parametrize("batch_size", [2**31, 2**63])
    def test_scan_in_batches_of_any_size(self, batch_size: int) -> None:
        spec = self.collection()
        ids = sorted_ids(5)
        self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=random_vectors(5, 4)))
        found = [
            id for batch in self.backend.scan(spec, batch_size=batch_size) for id in batch.uuids
        ]
        expect_equal(sorted(found), ids, f"scan(batch_size={batch_size}) returns all records.")

    @about("scans-give-each-record-once")
    def test_scan(self) -> None:
        spec = self.collection()
        ids = sorted_ids(10)
        self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=random_vectors(10, 4)))
        for size in (1, 3, 5, 9, 10, 11, 1_000):
            batches = list(self.backend.scan(spec, batch_size=size))
            sizes = [len(batch) for batch in batches]
            expect(max(sizes) <= size, f"scan(batch_size={size}) returned batches of {sizes}.")
            scanned = sorted(id for batch in batches for id in batch.uuids)
            expect_equal(scanned, ids, f"scan(batch_size={size}) returns all records, each once.")

    @about("scans-give-each-record-once")
    def test_scan_with_a_wrong_batch_size(self) -> None:
        spec = self.collection()
        sizes: list[Any] = [0, -1, 1.5, True, None]
        for size in sizes:
            with expect_error(InvalidQuery, "batch_size is an int of at least 1."):
                list(self.backend.scan(spec, batch_size=size))

    @about("vectors-come-back")
    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("dimensions", [1, 3, 1_536])
    @pytest.mark.parametrize("way", WAYS)
    def test_records_come_back(self, metric: Metric, dimensions: int, way: Way) -> None:
        self.go(way)
        spec = self.collection(metric, dimensions=dimensions, fields={"row": "int"})
        written = {
            id: Record(id=id, vector=tuple(vector), metadata={"row": row, "title": f"Row {row}"})
            for row, (id, vector) in enumerate(
                zip(sorted_ids(8)[::-1], random_vectors(8, dimensions), strict=True)
            )
        }
        batch = RecordBatch.of(
            ids=written,
            vectors=[record.vector for record in written.values()],
            metadata=[record.metadata for record in written.values()],
        )
        self.backend.upsert(spec, batch)
        self.same_records(self.stored(spec), written, metric)
        asked = [*written]
        seeded(1).shuffle(asked)  # neither in the order of writing nor of the ids
        got = {record.id: record for record in self.backend.get(spec, asked)}
        self.same_records(got, written, metric)

    def same_records(
        self, actual: dict[UUID, Record], expected: dict[UUID, Record], metric: Metric
    ) -> None:
        expect_equal(set(actual), set(expected), "All records come back, and no others.")
        for id, record in expected.items():
            expect_vector(actual[id].vector, record.vector, direction=metric == "cosine")
            expect_metadata(actual[id].metadata, record.metadata)
