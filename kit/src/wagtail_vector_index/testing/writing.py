"""Upserts replace whole records, and a search finds them at once."""

from __future__ import annotations

from array import array
from uuid import UUID

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import CollectionSpec, RecordBatch

from .event_loops import WAYS, AsyncHarness, Way
from .examples import id_of, random_vectors, seeded, sorted_ids
from .expect import expect_equal, expect_metadata, expect_score, expect_vector
from .judging import score
from .rules import about

__all__ = ["WritingTests"]

ONE = [1.0, 0.0, 0.0, 0.0]
TWO = [0.0, 1.0, 0.0, 0.0]


class WritingTests(AsyncHarness):
    @about("upserts-replace-whole-records")
    def test_upsert_again_changes_nothing(self) -> None:
        spec = self.collection()
        for _ in range(3):
            self.put(spec, {"a": ONE, "b": TWO})
        expect_equal(self.backend.count(spec), 2, "An upsert of the same ids adds nothing.")
        expect_equal(
            len(self.names(spec)), 2, "After upserts of the same ids, each record is found once."
        )
        expect_equal(
            len(self.stored(spec)), 2, "After upserts of the same ids, each record is stored once."
        )

    @about("empty-batches-do-nothing")
    def test_empty_batch(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": ONE})
        self.backend.upsert(spec, RecordBatch.of(ids=[], vectors=[]))
        expect_equal(self.backend.count(spec), 1, "An empty batch changes nothing.")

    @about("upserts-replace-whole-records")
    @pytest.mark.parametrize("way", WAYS)
    def test_upsert_replaces_the_vector(self, way: Way) -> None:
        self.go(way)
        spec = self.collection()
        self.put(spec, {"a": ONE, "b": [0.6, 0.8, 0.0, 0.0]})
        self.put(spec, {"a": TWO})
        best = self.backend.search(spec, ONE, limit=1)[0]
        expect_equal(best.id, id_of("b"), "A replaced vector is not found any more.")
        best = self.backend.search(spec, TWO, limit=1)[0]
        expect_equal(best.id, id_of("a"), "The new vector of a replaced record is found.")

    @about("upserts-replace-whole-records")
    @pytest.mark.parametrize("way", WAYS)
    def test_upsert_without_metadata_removes_it(self, way: Way) -> None:
        self.go(way)
        spec = self.collection(fields={"locale": "str"})
        self.describe(spec, {"a": {"locale": "en", "note": "old"}})
        self.describe(spec, {"a": {}})
        rule = "A record that is written again without metadata has none."
        expect_equal(self.stored(spec)[id_of("a")].metadata, {}, rule)
        expect_equal(self.names(spec, Q(locale="en")), [], rule)
        expect_equal(self.names(spec, Q(locale=None)), [id_of("a")], rule)

    @about("upserts-replace-whole-records")
    @pytest.mark.parametrize("way", WAYS)
    def test_upsert_replaces_the_metadata(self, way: Way) -> None:
        self.go(way)
        spec = self.collection(fields={"locale": "str", "year": "int", "tags": "list[str]"})
        self.describe(spec, {"a": {"locale": "en", "year": 1, "tags": ["x", "y"], "note": "old"}})
        self.describe(spec, {"a": {"locale": "de", "tags": ["y"], "other": "new"}})
        for stale in (Q(locale="en"), Q(year=1), Q(year__isnull=False), Q(tags__contains="x")):
            expect_equal(self.names(spec, stale), [], f"The old metadata still matches {stale}.")
            expect_equal(self.backend.count(spec, stale), 0, f"count() still matches {stale}.")
        for new in (Q(locale="de"), Q(year__isnull=True), Q(tags__contains="y")):
            expect_equal(self.names(spec, new), [id_of("a")], f"The new metadata must match {new}.")
        [record] = self.backend.get(spec, [id_of("a")])
        expect_metadata(record.metadata, {"locale": "de", "tags": ["y"], "other": "new"})

    @about("upserts-replace-whole-records")
    def test_the_last_upsert_wins(self) -> None:
        spec = self.collection(fields={"version": "int"})
        for version in range(5):
            self.describe(spec, {"a": {"version": version}})
        self.describe(spec, {"b": {"version": 0}})
        self.backend.optimize(spec)
        [record] = self.backend.get(spec, [id_of("a")])
        expect_metadata(record.metadata, {"version": 4})
        found = self.names(spec, Q(version=4))
        expect_equal(found, [id_of("a")], "Of several upserts of an id, the last one wins.")

    @about("the-last-of-an-id-wins")
    @pytest.mark.parametrize("way", WAYS)
    def test_the_last_of_an_id_in_a_batch_wins(self, way: Way) -> None:
        self.go(way)
        spec = self.collection(fields={"version": "int"})
        self.versions(spec, [id_of("a"), id_of("b"), id_of("a"), id_of("a")])
        expect_equal(self.backend.count(spec), 2, "An id that comes twice is one record.")
        [record] = self.backend.get(spec, [id_of("a")])
        expect_metadata(record.metadata, {"version": 3})

    @about("the-last-of-an-id-wins")
    def test_the_last_of_an_id_across_parts_wins(self, size: int = 3) -> None:
        spec = self.collection(fields={"version": "int"})
        self.cap_batches(records=size)
        ids = [id_of("a"), *sorted_ids(3 * size), id_of("a")]
        self.versions(spec, ids)
        expect_equal(self.backend.count(spec), len(ids) - 1, "Every part of a batch is written.")
        [record] = self.backend.get(spec, [id_of("a")])
        expect_metadata(record.metadata, {"version": len(ids) - 1})

    def versions(self, spec: CollectionSpec, ids: list[UUID]) -> None:
        self.backend.upsert(
            spec,
            RecordBatch.of(
                ids=ids,
                vectors=random_vectors(len(ids), 4),
                metadata=[{"version": row} for row in range(len(ids))],
            ),
        )

    @about("batches-of-any-size")
    @pytest.mark.parametrize("extra", [0, 1])
    def test_batches_beyond_the_limit_of_records(self, extra: int) -> None:
        spec = self.collection(dimensions=2)
        size = min(self.backend.max_batch_records, 1_000, max(1, (self.at_most - 1) // 2))
        self.cap_batches(records=size)
        ids = sorted_ids(2 * size + extra)
        seeded(0).shuffle(ids)
        self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=random_vectors(len(ids), 2)))
        expect_equal(self.backend.count(spec), len(ids), "Every record of a big batch is written.")
        expect_equal(set(self.stored(spec)), set(ids), "A big batch is stored under its own ids.")

    @about("batches-of-any-size")
    def test_batches_beyond_the_limit_of_bytes(self) -> None:
        spec = self.collection()
        self.cap("max_batch_bytes", 1_000)
        rows = {f"row {n}": {"text": "é" * 100 * n} for n in range(20)}
        self.describe(spec, rows)
        stored = self.stored(spec)
        expect_equal(len(stored), 20, "Every record of a batch of many bytes is written.")
        for name, metadata in rows.items():
            expect_metadata(stored[id_of(name)].metadata, metadata)

    @about("buffers-are-the-callers-own")
    def test_slices_of_a_batch(self) -> None:
        spec = self.collection()
        ids, vectors = sorted_ids(10), random_vectors(10, 4)
        metadata = [{"row": row} for row in range(10)]
        batch = RecordBatch.of(ids=ids, vectors=vectors, metadata=metadata)
        self.backend.upsert(spec, batch[2:5])
        stored = self.stored(spec)
        expect_equal(set(stored), set(ids[2:5]), "A slice is written without its neighbours.")
        for row in range(2, 5):
            expect_metadata(stored[ids[row]].metadata, {"row": row})
            cosine = spec.metric == "cosine"
            expect_vector(stored[ids[row]].vector, vectors[row], direction=cosine)

    @about("buffers-are-the-callers-own")
    def test_buffers_are_the_callers_own(self) -> None:
        spec = self.collection()
        source = RecordBatch.of(ids=[id_of("a")], vectors=[ONE])
        ids, vectors = bytearray(source.ids), bytearray(source.vectors)
        batch = RecordBatch(
            ids=memoryview(ids), vectors=memoryview(vectors), metadata=["{}"], dimensions=4
        )
        self.backend.upsert(spec, batch)
        ids[:], vectors[:] = bytes(16), array("f", [-1.0, 0.5, 0.5, 0.5]).tobytes()
        [match] = self.backend.search(spec, ONE)
        rule = "After upsert(), the caller may change the buffers of the batch."
        expect_equal(match.id, id_of("a"), rule)
        expect_score(match.score, score(spec.metric, ONE, ONE), rule)

    @about("buffers-are-the-callers-own")
    def test_what_was_read_stays_as_it_is(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": ONE, "b": TWO})
        read = [self.backend.get(spec, [id_of("a")]), *self.backend.scan(spec, batch_size=1)]
        before = [[*batch] for batch in read]
        self.put(spec, {"a": [0.5, 0.5, 0.5, 0.5], "c": ONE})
        self.backend.delete(spec, [id_of("b")])
        rule = (
            "A batch that was read does not change when its records are written again or deleted."
        )
        expect_equal([[*batch] for batch in read], before, rule)
