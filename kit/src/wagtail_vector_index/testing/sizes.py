"""What is right for ten records is right for thousands: batches, searches, scans, collections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from uuid import UUID

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import METRICS, CollectionSpec, FieldType, Metric, RecordBatch
from wagtail_vector_index.exceptions import CollectionNotFound

from .event_loops import WAYS, AsyncHarness, Way
from .examples import id_of, random_vectors, seeded, sorted_ids
from .expect import expect, expect_equal, expect_error, expect_ids, expect_ranking
from .harness import new_name
from .judging import score
from .rules import about

__all__ = ["SizeTests"]

DIMENSIONS = 6
FIELDS: dict[str, FieldType] = {"row": "int", "half": "str"}
HALVES = ["first", "second"]

#: More than the pages and limits that engines like: 500, 1,000 and 5,000.
MANY, MANY_THOROUGHLY = 5_400, 21_000

#: The largest batch that is tried, if a backend declares that it takes more.
LARGEST_BATCH, LARGEST_BATCH_THOROUGHLY = 10_000, 100_000

#: More names than a page of any engine has.
COLLECTIONS = 120


@dataclass(frozen=True, kw_only=True)
class Records:
    """Records whose vectors have one length, so that each is nearest to itself."""

    ids: list[UUID]
    vectors: list[list[float]]

    @cached_property
    def batch(self) -> RecordBatch:
        """The records as they are written."""
        metadata = [
            {"row": row, "half": "first" if 2 * row < len(self.ids) else "second"}
            for row in range(len(self.ids))
        ]
        return RecordBatch.of(ids=self.ids, vectors=self.vectors, metadata=metadata)

    def scores(self, metric: Metric, query: list[float]) -> dict[UUID, float]:
        """Return the right score of each record, in the order of writing."""
        rows = zip(self.ids, self.vectors, strict=True)
        return {id: score(metric, query, vector) for id, vector in rows}


@lru_cache(maxsize=2)
def records(count: int) -> Records:
    """Return records whose order of writing is not the order of their ids."""
    ids = sorted_ids(count)
    seeded(count).shuffle(ids)
    vectors = []
    for vector in random_vectors(count, DIMENSIONS, seed=3):
        length = math.hypot(*vector) / 2
        vectors.append([component / length for component in vector])
    return Records(ids=ids, vectors=vectors)


class SizeTests(AsyncHarness):
    @property
    def how_many(self) -> int:
        return min(self.at_most, MANY_THOROUGHLY if self.thorough else MANY)

    def filled_with_many(self, metric: Metric | None = None) -> tuple[CollectionSpec, Records]:
        """Return a collection of many records."""
        spec = self.collection(metric, dimensions=DIMENSIONS, fields=FIELDS)
        written = records(self.how_many)
        self.backend.upsert(spec, written.batch)
        return spec, written

    @about("batches-of-any-size")
    @pytest.mark.parametrize("way", WAYS)
    def test_batches_as_large_as_declared(self, way: Way) -> None:
        spec = self.collection(dimensions=2, fields={"row": "int"})
        most = LARGEST_BATCH_THOROUGHLY if self.thorough else LARGEST_BATCH
        size = min(self.backend.max_batch_records, most, self.at_most)
        ids = sorted_ids(size, seed=4)
        seeded(5).shuffle(ids)
        batch = RecordBatch.of(
            ids=ids,
            vectors=[[1.0, row / size] for row in range(size)],
            metadata=[{"row": row} for row in range(size)],
        )
        self.ask(way, "upsert", spec, batch)
        expect_equal(self.ask(way, "count", spec), size, "Every record of a batch is written.")
        expect_equal(
            self.ask(way, "count", spec, Q(row__gte=0)),
            size,
            "Every record of a batch is written with its metadata.",
        )
        rule = "get() returns all records, of as many ids as max_batch_records."
        got = self.ask(way, "get", spec, ids)
        expect_ids(got.uuids, ids, rule, f"get() of {size} ids")
        rows = {record.id: record.metadata.get("row") for record in got}
        expect_equal(
            [id for row, id in enumerate(ids) if rows[id] != row][:1],
            [],
            "get() returns each record with its own metadata.",
        )
        kept = [ids[0], ids[size // 2], ids[-1]]
        gone = [id for id in ids if id not in kept]
        self.ask(way, "delete", spec, gone)
        rule = "delete() deletes all records, of as many ids as max_batch_records."
        expect_ids(self.stored(spec), kept, rule, f"after delete() of {len(gone)} ids, scan()")
        self.ask(way, "delete", spec, [*gone, *kept])
        expect_equal(self.ask(way, "count", spec), 0, rule)

    @about("batches-of-any-size")
    @pytest.mark.parametrize("way", WAYS)
    def test_many_records_are_replaced(self, way: Way) -> None:
        spec = self.collection(dimensions=2, fields={"version": "int"})
        ids = sorted_ids(min(1_100, self.at_most), seed=6)
        for version, towards in enumerate(([1.0, 0.0], [0.0, 1.0])):
            metadata = [{"version": version}] * len(ids)
            batch = RecordBatch.of(ids=ids, vectors=[towards] * len(ids), metadata=metadata)
            self.ask(way, "upsert", spec, batch)
        expect_equal(self.ask(way, "count", spec), len(ids), "An upsert of the same ids adds none.")
        for version, expected in ((0, 0), (1, len(ids))):
            found = self.ask(way, "count", spec, Q(version=version))
            expect_equal(found, expected, "All records of a large batch are replaced.")
        matches = self.ask(way, "search", spec, [1.0, 0.0], limit=1)
        right = score(spec.metric, [1.0, 0.0], [0.0, 1.0])
        expect(abs(matches[0].score - right) < 1e-4, "The replaced vectors are not found any more.")

    @about("limits")
    @pytest.mark.parametrize("metric", METRICS)
    def test_large_limits(self, metric: Metric) -> None:
        spec, written = self.filled_with_many(metric)
        query = written.vectors[7]
        everywhere = written.scores(metric, query)
        count = len(everywhere)
        for limit in (500, 1_001, 5_000, count - 1, 2 * count):
            found = self.backend.search(spec, query, limit=limit)
            expect_ranking(found, everywhere, limit=limit)
        later = dict(islice(everywhere.items(), count // 2, None))
        for limit in (501, 1_000, count):
            found = self.backend.search(spec, query, limit=limit, filter=Q(half="second"))
            expect_ranking(found, later, limit=limit)
        some = dict(islice(everywhere.items(), 100, None))
        for keep in (Q(row__gte=100), ~Q(row__lt=100)):
            found = self.backend.search(spec, query, limit=count, filter=keep)
            expect_ranking(found, some, limit=count)
        asked = self.backend.asearch(spec, query, limit=1_001)
        expect_ranking(self.in_loop(asked), everywhere, limit=1_001)
        asked = self.backend.asearch(spec, query, limit=count, filter=Q(row__gte=100))
        expect_ranking(self.in_loop(asked), some, limit=count)

    @about("filters-are-complete")
    @pytest.mark.parametrize("metric", METRICS)
    def test_nearest_among_many(self, metric: Metric) -> None:
        spec, written = self.filled_with_many(metric)
        # Wherever an engine begins to look, one of these comes last.
        by_id = sorted(range(len(written.ids)), key=written.ids.__getitem__)
        rows = [len(by_id) - 1, 0, by_id[-1], by_id[0], *seeded(8).sample(range(len(by_id)), 4)]
        keeps = [Q(row__gte=0), Q(half="first") | Q(half="second"), ~Q(row=-1), Q(half__in=HALVES)]
        for number, row in enumerate(rows):
            self.finds("synchronous", spec, written, row, None)
            self.finds(WAYS[number // 2 % 2], spec, written, row, keeps[number % 4])
        self.backend.optimize(spec)
        for number, row in enumerate(rows[:4]):
            self.finds(WAYS[number % 2], spec, written, row, None)

    def finds(
        self, way: Way, spec: CollectionSpec, written: Records, row: int, keep: Q | None
    ) -> None:
        """Fail unless a search by its own vector finds this row first."""
        matches = self.ask(way, "search", spec, written.vectors[row], limit=1, filter=keep)
        expect(
            [match.id for match in matches] == [written.ids[row]],
            "A search looks at all records before it applies its limit, but did not find"
            f" record {row} of {len(written.ids)} by its own vector ({way}, filter: {keep}).",
        )

    @about("limits")
    def test_search_after_many_deletes(self) -> None:
        spec, written = self.filled_with_many()
        query = written.vectors[5]
        scores = written.scores(spec.metric, query)
        nearest = sorted(scores, key=lambda id: (-scores[id], id))
        # What was nearest is gone, so an engine that looks at it first has nothing left.
        gone, left = nearest[:-200], nearest[-200:]
        self.backend.delete(spec, gone)
        right = {id: scores[id] for id in left}
        for keep in (None, Q(row__gte=0)):
            for limit in (1, 150, 1_000):
                found = self.backend.search(spec, query, limit=limit, filter=keep)
                expect_ranking(found, right, limit=limit)
            expect_equal(self.backend.count(spec, keep), len(left), "Deleted records are gone.")

    @about("one-meaning-of-score")
    @pytest.mark.parametrize("metric", METRICS)
    def test_search_in_thousands_of_dimensions(self, metric: Metric) -> None:
        spec = self.collection(metric, dimensions=3_072)
        ids = sorted_ids(24, seed=9)
        [noise] = random_vectors(1, spec.dimensions, seed=10)
        vectors = []
        for row in range(len(ids)):  # which differ in one component, early or late
            vector = [component / 400 for component in noise]
            vector[-1 - 131 * row] = 1.0 + row / 8
            vectors.append(vector)
        batch = RecordBatch.of(ids=ids, vectors=vectors)
        self.backend.upsert(spec, batch)
        for row in (0, 1, 12, 23):
            query = [*batch.vector(row)]
            scores = {id: score(metric, query, batch.vector(other)) for other, id in enumerate(ids)}
            for limit in (1, 24):
                expect_ranking(self.backend.search(spec, query, limit=limit), scores, limit=limit)

    @about("counts-are-exact")
    @pytest.mark.parametrize("way", WAYS)
    def test_many_are_counted(self, way: Way) -> None:
        spec, written = self.filled_with_many()
        count = len(written.ids)
        cases = [
            (None, count),
            (Q(row__gte=0), count),
            (Q(half="second"), count - count // 2),
            (~Q(half="second"), count // 2),
            (Q(row__lt=count - 1), count - 1),
            (Q(row__isnull=False), count),
            (Q(row__isnull=True), 0),
        ]
        for keep, expected in cases:
            expect_equal(self.ask(way, "count", spec, keep), expected, f"count({keep}) is exact.")

    @about("scans-give-each-record-once")
    @pytest.mark.parametrize("way", WAYS)
    def test_scan_of_many(self, way: Way) -> None:
        spec, written = self.filled_with_many()
        smallest = 20 if way == "asynchronous" else 5
        for size in (smallest, 999, 1_000, 5_000, len(written.ids), 1_000_000):
            batches = self.batches(way, spec, size)
            expect(
                max(map(len, batches)) <= size,
                f"scan(batch_size={size}) returned a batch of {max(map(len, batches))} records.",
            )
            scanned = [id for batch in batches for id in batch.uuids]
            rule = "A scan returns all records."
            expect_ids(scanned, written.ids, rule, f"scan(batch_size={size})")

    @about("dropping-is-complete")
    def test_drop_of_many(self) -> None:
        spec, written = self.filled_with_many()
        self.backend.drop(spec)
        expect(spec.name not in self.backend.collections(), "A dropped collection is not listed.")
        self.backend.create(spec)
        rule = "drop() deletes all of thousands of records."
        for keep in (None, Q(row__gte=0), ~Q(row=1)):
            expect_equal(self.backend.count(spec, keep), 0, rule)
            found = self.backend.search(spec, written.vectors[0], limit=10_000, filter=keep)
            expect_ids([match.id for match in found], [], rule, "search()")
        expect_ids(self.stored(spec), [], rule, "scan()")
        got = self.backend.get(spec, written.ids)
        expect_ids(got.uuids, [], rule, f"get() of {len(written.ids)} ids")

    @about("collections-are-listed")
    def test_dozens_of_collections(self) -> None:
        begin = new_name()
        # Of the longest names, too, which differ only at their ends.
        names = [f"{begin}_{number}" for number in range(COLLECTIONS - 20)]
        names += [f"{begin}_{'x' * (44 - len(begin))}{number:03}" for number in range(20)]
        specs = [self.collection(name=name, dimensions=2) for name in names]
        for listed in (self.backend.collections(), self.in_loop(self.backend.acollections())):
            missing = sorted(set(names).difference(listed))
            expect(
                not missing,
                f"All collections are listed. {len(missing)} of {len(names)} are missing, such as"
                f" {missing[:1]}.",
            )
            expect_equal(listed, sorted(set(listed)), "collections() is sorted, each name once.")
        some = [specs[0], specs[1], specs[10], specs[-21], specs[-20], specs[-1]]
        for number, spec in enumerate(some):
            self.put(spec, {"shared": [1, number], f"own {number}": [number, 1]})
        for number, spec in enumerate(some):
            right = sorted([id_of("shared"), id_of(f"own {number}")])
            expect_equal(self.names(spec), right, f"{spec.name} has its own records only.")
        for spec in specs[::2]:
            self.backend.drop(spec)
        ours = [name for name in self.backend.collections() if name.startswith(begin)]
        expect_equal(ours, sorted(names[1::2]), "Exactly the dropped collections are gone.")
        with expect_error(CollectionNotFound, "A dropped collection is gone."):
            self.backend.count(specs[0])
