"""A missing collection and a batch that was written in part are errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any

import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import CollectionSpec, RecordBatch
from wagtail_vector_index.exceptions import BackendUnavailable, CollectionNotFound, WriteFailed

from .capabilities import REFUSING, UNREACHABLE
from .examples import id_of, random_vectors, sorted_ids
from .expect import expect, expect_equal, expect_error
from .harness import Harness
from .rules import about

__all__ = ["FailureTests", "Waits", "expect_unavailable"]

QUERY = [1.0, 2.0, 3.0, 4.0]

OPERATIONS: dict[str, Callable[[VectorBackend, CollectionSpec], Any]] = {
    "upsert": lambda backend, spec: backend.upsert(
        spec, RecordBatch.of(ids=[id_of("a")], vectors=[QUERY])
    ),
    "delete": lambda backend, spec: backend.delete(spec, [id_of("a")]),
    "search": lambda backend, spec: backend.search(spec, QUERY),
    "search by filter": lambda backend, spec: backend.search(spec, QUERY, filter=Q(n=1)),
    "search by no value": lambda backend, spec: backend.search(spec, QUERY, filter=Q(n__in=[])),
    "count": lambda backend, spec: backend.count(spec),
    "count by filter": lambda backend, spec: backend.count(spec, Q(n=1)),
    "count by no value": lambda backend, spec: backend.count(spec, Q(n__in=[])),
    "get": lambda backend, spec: backend.get(spec, [id_of("a")]),
    "scan": lambda backend, spec: list(backend.scan(spec)),
}

#: Every operation needs the service, also those that need no collection.
NEEDS_SERVICE: dict[str, Callable[[VectorBackend, CollectionSpec], Any]] = {
    "create": lambda backend, spec: backend.create(spec),
    "drop": lambda backend, spec: backend.drop(spec),
    "collections": lambda backend, spec: backend.collections(),
    **OPERATIONS,
}


class FailureTests(Harness):
    @about("a-missing-collection-is-an-error")
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_missing_collection(self, operation: str) -> None:
        self.not_found(operation, self.spec(fields={"n": "int"}))

    @about("a-missing-collection-is-an-error")
    def test_dropped_collection(self) -> None:
        spec = self.collection(fields={"n": "int"})
        self.put(spec, {"a": QUERY})
        self.backend.drop(spec)
        for operation in OPERATIONS:
            self.not_found(operation, spec)

    @about("a-service-that-is-away-is-an-error")
    def test_service_that_is_away(self) -> None:
        backend = self.need(UNREACHABLE, self.unreachable())
        spec = self.spec(fields={"n": "int"})
        waits = Waits(backend)
        try:
            for operation, ask in NEEDS_SERVICE.items():
                with waits, expect_unavailable(operation):
                    ask(backend, spec)
            waits.expect_in_time()
            expect(not is_ok(backend), "health() is not ok if the service cannot be reached.")
            expect(isinstance(backend.check(), list), "check() does not need the service.")
        finally:
            backend.close()

    def not_found(self, operation: str, spec: CollectionSpec) -> None:
        with expect_error(CollectionNotFound, f"{operation} needs a collection that exists."):
            OPERATIONS[operation](self.backend, spec)
        expect(spec.name not in self.backend.collections(), f"{operation} created a collection.")

    @about("nothing-is-silently-unwritten")
    def test_part_of_a_batch_fails(self) -> None:
        spec = self.collection()
        self.cap_batches(records=3)
        parts = []

        def fail_second(spec: CollectionSpec, batch: RecordBatch) -> None:
            parts.append(batch)
            if len(parts) == 2:
                if begin := batch[:-1]:
                    write(spec, begin)
                raise WriteFailed("The disk is full.", batch.uuids[-1:])
            write(spec, batch)

        write = self.replace("_upsert", fail_second)
        batch = RecordBatch.of(ids=sorted_ids(10), vectors=random_vectors(10, 4))
        self.names_all_that_is_missing(spec, batch)

    @about("nothing-is-silently-unwritten")
    def test_store_refuses_part_of_a_batch(self) -> None:
        spec = self.collection()
        ids = sorted_ids(10)
        with self.need(REFUSING, self.refusing(self.backend, spec, ids[4:6])):
            batch = RecordBatch.of(ids=ids, vectors=random_vectors(10, 4))
            self.names_all_that_is_missing(spec, batch)
        self.backend.upsert(spec, batch)
        expect_equal(self.names(spec), ids, "A batch that failed can be sent again.")

    @about("what-was-written-in-part-can-be-mended")
    def test_what_failed_is_deleted_and_written_again(self) -> None:
        spec = self.collection(fields={"n": "int"})
        ids, vectors = sorted_ids(10), random_vectors(10, 4)
        batch = RecordBatch.of(ids=ids, vectors=vectors, metadata=[{"n": 1}] * 10)
        with (
            self.need(REFUSING, self.refusing(self.backend, spec, ids[4:6])),
            expect_error(WriteFailed, "A store that refuses records is an error."),
        ):
            self.backend.upsert(spec, batch)
        self.backend.delete(spec, ids)
        expect_equal(self.backend.count(spec), 0, "delete() deletes what was written in part.")
        self.backend.upsert(spec, batch)
        rule = "What failed is found once it was deleted and written again."
        expect_equal(self.names(spec), ids, rule)
        expect_equal(self.names(spec, Q(n=1)), ids, rule)
        expect_equal(self.backend.unfound(spec, batch), [], rule)

    @about("records-are-found-by-their-own-vectors")
    def test_records_are_found_by_their_own_vectors(self) -> None:
        spec = self.collection()
        vectors = [[1.0, 2.0, 3.0, 4.0]] * 15 + [list(v) for v in random_vectors(15, 4)]
        ids = sorted_ids(30)
        batch = RecordBatch.of(ids=ids, vectors=vectors)
        self.backend.upsert(spec, batch)
        expect_equal(self.backend.unfound(spec, batch), [], "Every record that exists is found.")
        self.backend.delete(spec, [ids[7], ids[20]])
        expect_equal(
            sorted(self.backend.unfound(spec, batch)),
            [ids[7], ids[20]],
            "unfound() names the records that do not exist.",
        )

    def names_all_that_is_missing(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        """Fail unless upsert() raises WriteFailed with every id that was not written."""
        failed = set()
        try:
            self.backend.upsert(spec, batch)
        except WriteFailed as error:
            failed = set(error.ids)
        expect(failed, "A batch that failed in part raises WriteFailed with the ids.")
        unwritten = set(batch.uuids).difference(self.names(spec))
        silent = unwritten - failed
        expect(
            not silent, f"WriteFailed does not name these records, which were not written: {silent}"
        )
        expect(failed <= set(batch.uuids), "WriteFailed names only ids of the batch.")


class Waits:
    """A context that measures how long the calls of a backend take whose service is away."""

    def __init__(self, backend: VectorBackend) -> None:
        self.timeout = getattr(backend.options, "timeout", None)
        self.seconds: list[float] = []

    def __enter__(self) -> None:
        self.began = monotonic()

    def __exit__(self, *error: object) -> None:
        self.seconds.append(monotonic() - self.began)

    def expect_in_time(self) -> None:
        """Fail if each call took longer than the option ``timeout``, if there is one.

        On a busy machine some calls are slow, but not all; and writes may have a time-out of
        their own.
        """
        __tracebackhide__ = True
        if isinstance(self.timeout, (int, float)):
            fastest = min(self.seconds)
            rule = "A service that is away is an error within the configured time-out."
            waited = f"timeout is {self.timeout} s, but each call took {fastest:.1f} s or more."
            expect(fastest <= self.timeout + 1, f"{rule}\n  {waited}")


def expect_unavailable(operation: str) -> AbstractContextManager[None]:
    """Fail unless the block raises the error of a service that cannot be reached."""
    errors: tuple[type[Exception], ...] = (BackendUnavailable,)
    if operation in ("upsert", "aupsert"):
        errors = (*errors, WriteFailed)
    return expect_error(
        errors, f"{operation} raises BackendUnavailable if the service cannot be reached."
    )


def is_ok(backend: VectorBackend) -> bool:
    """Return True if a backend reports that it works. An error means that it does not."""
    try:
        return backend.health().ok
    except BackendUnavailable:
        return False
