"""A read sees every write that ended before it, whichever instance made the write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias
from uuid import UUID

from django.db.models import Q

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import CollectionSpec, FieldType, Record, RecordBatch
from wagtail_vector_index.exceptions import CollectionMismatch, CollectionNotFound

from .capabilities import PERSISTENT
from .event_loops import AsyncHarness, scanned
from .examples import id_of, random_vectors
from .expect import (
    expect,
    expect_equal,
    expect_error,
    expect_ids,
    expect_metadata,
    expect_ranking,
    expect_vector,
)
from .oracle import OracleBackend
from .rules import about

__all__ = ["FreshnessTests"]

FIELDS: dict[str, FieldType] = {"n": "int", "tags": "list[str]"}
QUERIES = {4: [1.0, 0.5, -0.5, 2.0], 3: [1.0, 0.5, -0.5]}
NAMES = [*"abcdefgh"]

#: The same questions each time: an answer that was kept would be given again.
QUESTIONS: list[dict[str, Any]] = [
    {"limit": 2},
    {"limit": 100},
    {"limit": 100, "filter": Q(n__gte=0)},
    {"limit": 100, "filter": ~Q(tags__contains="x")},
    {"limit": 100, "min_score": 0.25},
]

#: A change of a collection, which a backend and the oracle both make.
Change: TypeAlias = Callable[[VectorBackend, CollectionSpec], object]


def write(seed: int, rows: Mapping[str, Mapping[str, Any]]) -> Change:
    def change(backend: VectorBackend, spec: CollectionSpec) -> None:
        batch = RecordBatch.of(
            ids=[id_of(name) for name in rows],
            vectors=random_vectors(len(rows), spec.dimensions, seed=seed),
            metadata=rows.values(),
        )
        backend.upsert(spec, batch)

    return change


def delete(*names: str) -> Change:
    return lambda backend, spec: backend.delete(spec, [id_of(name) for name in names])


def again(backend: VectorBackend, spec: CollectionSpec) -> None:
    backend.drop(spec)
    backend.create(spec)


def optimize(backend: VectorBackend, spec: CollectionSpec) -> None:
    backend.optimize(spec)


#: Each of these changes some answer, but for `optimize`, after which the next ones count.
CHANGES: dict[str, Change] = {
    "the first upsert": write(1, {"a": {"n": 1}, "b": {"n": -1, "tags": ["x"]}}),
    "an upsert of other records": write(2, {"c": {"n": 2}, "d": {}, "e": {"tags": ["x", "y"]}}),
    "an upsert of the same records": write(3, {"a": {"n": -1}, "b": {"tags": ["y"]}}),
    "a delete": delete("c", "d"),
    "an upsert after a delete": write(4, {"c": {"n": -5, "tags": ["x"]}}),
    "the first optimize()": optimize,
    "an upsert after optimize()": write(5, {"f": {"n": 9}, "g": {"n": 9, "tags": ["x"]}}),
    "an upsert of the same records after optimize()": write(6, {"a": {"n": 7}, "f": {"n": -2}}),
    "a delete after optimize()": delete("b", "g"),
    "the second optimize()": optimize,
    "an upsert after the second optimize()": write(7, {"h": {"n": 0}, "g": {"n": 3}}),
    "drop() and create()": again,
    "an upsert after drop() and create()": write(8, {"a": {"n": 4}, "h": {"tags": ["x"]}}),
    "another optimize()": optimize,
    "a delete of everything": delete(*NAMES),
    "a last upsert": write(9, {"b": {"n": 1}, "c": {"n": 2}}),
}


class FreshnessTests(AsyncHarness):
    @about("reads-see-every-write")
    def test_reads_see_every_write(self) -> None:
        spec = self.collection(fields=FIELDS)
        oracle = OracleBackend()
        oracle.create(spec)
        for kind, change in CHANGES.items():
            for backend in (self.backend, oracle):
                change(backend, spec)
            self.agrees(self.backend, oracle, spec, f"After {kind}")

    @about("reads-see-every-write")
    def test_two_instances_write_in_turn(self) -> None:
        """Two instances share a store if it is persistent. If not, nothing of one is the other's.

        Both read after each change, so that each could remember what it then should not.
        """
        spec = self.collection(fields=FIELDS)
        other = self.make_backend()
        try:
            other.create(spec)
            oracle = OracleBackend()
            oracles = [oracle, oracle if self.backend.persistent else OracleBackend()]
            for each in oracles:
                each.create(spec)
            instances = [self.backend, other]
            for turn, (kind, change) in enumerate(CHANGES.items()):
                writer = turn % 2
                change(instances[writer], spec)
                change(oracles[writer], spec)
                for instance, right in zip(instances, oracles, strict=True):
                    own = instance is instances[writer]
                    whose = f"{kind} by {'the same' if own else 'another'} instance"
                    self.agrees(instance, right, spec, f"After {whose}")
            other.drop(spec)
            listed = spec.name in self.backend.collections()
            rule = "After another instance's drop(), a persistent collection is gone, only that."
            expect_equal(listed, not self.backend.persistent, rule)
        finally:
            other.close()

    @about("reads-see-every-write")
    def test_two_instances_change_the_shape_in_turn(self) -> None:
        self.need(PERSISTENT, self.backend.persistent)
        one = self.collection(dimensions=4, fields=FIELDS)
        shapes = [
            one,
            self.spec(name=one.name, dimensions=3, fields={"n": "str", "tags": "list[int]"}),
            self.spec(name=one.name, dimensions=4, fields={"tags": "list[str]", "n": "int"}),
            self.spec(name=one.name, dimensions=4),
        ]
        values: list[dict[str, Any]] = [{"n": 1}, {"n": "1"}, {"n": 2}, {"n": [True]}]
        other = self.make_backend()
        try:
            for turn, spec in enumerate(shapes):
                writer, reader = (self.backend, other) if turn % 2 else (other, self.backend)
                writer.drop(shapes[turn - 1])
                with expect_error(CollectionNotFound, "The other instance's drop() is seen."):
                    reader.count(shapes[turn - 1])
                writer.create(spec)
                write(turn, {"a": values[turn], "b": {}})(writer, spec)
                oracle = OracleBackend()
                oracle.create(spec)
                write(turn, {"a": values[turn], "b": {}})(oracle, spec)
                for instance in (writer, reader):
                    self.agrees(instance, oracle, spec, "After another instance's create()")
                reader.create(spec)
                with expect_error(CollectionMismatch, "The shape is that of the last create()."):
                    reader.create(shapes[1 if turn != 1 else 0])
                write(turn + 10, {"a": {}, "c": values[turn]})(reader, spec)
                write(turn + 10, {"a": {}, "c": values[turn]})(oracle, spec)
                for instance in (writer, reader):
                    self.agrees(instance, oracle, spec, "After an upsert into the new shape")
        finally:
            other.close()

    @about("dropping-is-complete")
    def test_nothing_is_remembered_across_drop_and_create(self) -> None:
        one = self.collection(dimensions=4, fields=FIELDS)
        shapes = [
            one,
            self.spec(name=one.name, dimensions=3, fields={"n": "str", "tags": "list[int]"}),
            self.spec(max(self.backend.metrics), name=one.name, dimensions=4),
            self.spec(name=one.name, dimensions=4, fields={"tags": "list[str]", "n": "int"}),
        ]
        values: list[dict[str, Any]] = [{"n": 1}, {"n": "1"}, {"n": [True]}, {"n": 2}]
        for turn, spec in enumerate(shapes):
            oracle = OracleBackend()
            for backend in (self.backend, oracle):
                backend.drop(spec)
                backend.create(spec)
            self.agrees(self.backend, oracle, spec, "After drop() and create()")
            for names in (("a", "b"), ("a", "c")):
                for backend in (self.backend, oracle):
                    write(turn, dict.fromkeys(names, values[turn]))(backend, spec)
                self.agrees(self.backend, oracle, spec, "After drop(), create() and upsert()")
                self.backend.optimize(spec)

    @about("reads-see-every-write")
    def test_similar_questions_have_their_own_answers(self) -> None:
        fields: dict[str, FieldType] = {"n": "int", "f": "float", "s": "str", "b": "bool"}
        spec = self.collection(fields=fields)
        rows: dict[str, dict[str, Any]] = {
            "int": {"n": 1},
            "float": {"f": 1.0},
            "text": {"s": "1"},
            "bool": {"b": True},
            "two": {"n": 2, "f": 2.0, "s": "2", "b": False},
        }
        oracle = OracleBackend()
        oracle.create(spec)
        for backend in (self.backend, oracle):
            write(31, rows)(backend, spec)
        filters = [Q(n=1), Q(f=1.0), Q(s="1"), Q(b=True), ~Q(n=1), Q(n__gte=1), Q(n__in=[1, 2])]
        query = [1.0, 0.5, -0.5, 2.0]
        near = [[*query[:3], query[3] + step] for step in (0.0, 1e-3, 2e-3, 0.01, -0.01)]
        for keep in [None, *filters]:
            expected = oracle.count(spec, keep)
            expect_equal(self.backend.count(spec, keep), expected, f"count({keep}) is its own.")
            for asked in near:
                right = {m.id: m.score for m in oracle.search(spec, asked, limit=9, filter=keep)}
                for limit, min_score in ((1, None), (9, 0.3), (9, -0.3), (9, None)):
                    matches = self.backend.search(
                        spec, asked, limit=limit, filter=keep, min_score=min_score
                    )
                    with saying(f"A search for {asked} (filter: {keep})"):
                        expect_ranking(matches, right, limit=limit, min_score=min_score)

    @about("reads-see-every-write")
    def test_a_long_series_of_small_writes(self) -> None:
        spec = self.collection(dimensions=4, fields={"n": "int"})
        vectors = random_vectors(150, 4, seed=21)
        for number, vector in enumerate(vectors):
            batch = RecordBatch.of(
                ids=[id_of(str(number))], vectors=[vector], metadata=[{"n": number}]
            )
            self.backend.upsert(spec, batch)
            expect_equal(self.backend.count(spec), number + 1, "count() sees each of many upserts.")
            found = self.backend.search(spec, vector, limit=1, filter=Q(n=number))
            expect_ids(
                [match.id for match in found],
                batch.uuids,
                "Each of many upserts is found.",
                "search()",
            )
        for number in range(0, 150, 3):
            self.backend.delete(spec, [id_of(str(number))])
        left = [id_of(str(number)) for number in range(150) if number % 3]
        expect_ids(self.names(spec), left, "Each of many deletes is seen.", "search()")
        expect_equal(self.backend.count(spec), len(left), "count() sees each of many deletes.")

    @about("closing-loses-nothing")
    def test_close_between_all_operations(self) -> None:
        spec = self.collection(fields=FIELDS)
        oracle = OracleBackend()
        for turn, (kind, change) in enumerate(CHANGES.items()):
            if turn % 2:
                self.backend.close()
            else:
                self.in_loop(self.backend.aclose())
            if not self.backend.persistent:  # close() may take the records with it
                again(self.backend, spec)
                again(oracle, spec)
            elif not turn:
                oracle.create(spec)
            for backend in (self.backend, oracle):
                change(backend, spec)
            if self.backend.persistent and turn % 3 == 0:
                self.backend.close()
                self.backend.close()
            self.agrees(self.backend, oracle, spec, f"After close() and {kind}")

    def agrees(
        self, backend: VectorBackend, oracle: VectorBackend, spec: CollectionSpec, when: str
    ) -> None:
        """Fail unless a backend gives the same answers as the oracle, asynchronously too."""
        declared = spec.fields == FIELDS
        searches = QUESTIONS if declared else QUESTIONS[:2]
        counts = (None, Q(n=1), ~Q(n__gte=2)) if declared else (None,)
        query = QUERIES[spec.dimensions]
        ids = [id_of(name) for name in NAMES]

        async def asynchronously() -> tuple[Any, ...]:
            return (
                [await backend.asearch(spec, query, **asked) for asked in searches],
                [await backend.acount(spec, keep) for keep in counts],
                [await backend.aget(spec, ids)],
                await scanned(backend, spec),
                await backend.acollections(),
            )

        synchronously: tuple[Any, ...] = (
            [backend.search(spec, query, **asked) for asked in searches],
            [backend.count(spec, keep) for keep in counts],
            [backend.get(spec, ids)],
            list(backend.scan(spec)),
            backend.collections(),
        )
        stored = {record.id: record for record in oracle.get(spec, ids)}
        for found, counted, got, scan, listed in (synchronously, self.in_loop(asynchronously())):
            for asked, matches in zip(searches, found, strict=True):
                right = oracle.search(spec, query, limit=100, filter=asked.get("filter"))
                with saying(f"{when}, search({asked})"):
                    expect_ranking(
                        matches,
                        {match.id: match.score for match in right},
                        limit=asked["limit"],
                        min_score=asked.get("min_score"),
                    )
            for keep, count in zip(counts, counted, strict=True):
                rule = f"{when}, count({keep}) is that of the stored records."
                expect_equal(count, oracle.count(spec, keep), rule)
            for what, batches in (("get()", got), ("scan()", scan)):
                same_records(batches, stored, when, what, direction=spec.metric == "cosine")
            expect(spec.name in listed, f"{when}, the collection is listed.")


@contextmanager
def saying(when: str) -> Iterator[None]:
    """Begin the error of a block with the time and the call that it is about."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{when}: {error}") from None


def same_records(
    batches: Sequence[RecordBatch],
    stored: Mapping[UUID, Record],
    when: str,
    what: str,
    *,
    direction: bool,
) -> None:
    records = [record for batch in batches for record in batch]
    rule = f"{when}, exactly the stored records come."
    expect_ids([record.id for record in records], stored, rule, what)
    for record in records:
        with saying(f"{when}, {what}"):
            right = stored[record.id]
            expect_metadata(record.metadata, right.metadata)
            expect_vector(record.vector, right.vector, direction=direction)
