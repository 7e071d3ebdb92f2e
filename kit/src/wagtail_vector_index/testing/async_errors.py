"""Asynchronous methods refuse the same arguments as their synchronous twins."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import CollectionSpec, RecordBatch
from wagtail_vector_index.exceptions import (
    CollectionMismatch,
    CollectionNotFound,
    InvalidFilter,
    InvalidQuery,
    InvalidRecord,
    InvalidVector,
    VectorIndexError,
    WriteFailed,
)

from .capabilities import UNREACHABLE
from .event_loops import AsyncHarness, scanned
from .examples import id_of, random_vectors, sorted_ids
from .expect import expect, expect_equal, expect_error
from .failures import Waits, expect_unavailable
from .rules import about

__all__ = ["AsyncErrorTests"]

T = TypeVar("T")

QUERY = [1.0, 0.5, -0.5, 2.0]
THREADS = 4


#: Each call is wrong on a collection of four dimensions, without fields, that exists.
WRONG: list[
    tuple[
        type[VectorIndexError], Callable[[VectorBackend, CollectionSpec], Coroutine[Any, Any, Any]]
    ]
] = [
    (InvalidVector, lambda backend, spec: backend.asearch(spec, [1.0])),
    (InvalidQuery, lambda backend, spec: backend.asearch(spec, QUERY, limit=0)),
    (InvalidQuery, lambda backend, spec: backend.asearch(spec, QUERY, min_score=float("nan"))),
    (InvalidFilter, lambda backend, spec: backend.asearch(spec, QUERY, filter=Q(nope=1))),
    (InvalidFilter, lambda backend, spec: backend.acount(spec, Q(nope=1))),
    (InvalidQuery, lambda backend, spec: scanned(backend, spec, batch_size=0)),
    (InvalidRecord, lambda backend, spec: backend.adelete(spec, ["a"])),  # type: ignore[list-item]
    (InvalidRecord, lambda backend, spec: backend.aget(spec, ["a"])),  # type: ignore[list-item]
    (
        InvalidVector,
        lambda backend, spec: backend.aupsert(
            spec, RecordBatch.of(ids=sorted_ids(2), vectors=[QUERY, [float("nan")] * 4])
        ),
    ),
]

MISSING: dict[str, Callable[[VectorBackend, CollectionSpec], Coroutine[Any, Any, Any]]] = {
    "aupsert": lambda backend, spec: backend.aupsert(
        spec, RecordBatch.of(ids=[id_of("a")], vectors=[QUERY])
    ),
    "adelete": lambda backend, spec: backend.adelete(spec, [id_of("a")]),
    "asearch": lambda backend, spec: backend.asearch(spec, QUERY),
    "acount": lambda backend, spec: backend.acount(spec),
    "aget": lambda backend, spec: backend.aget(spec, [id_of("a")]),
    "ascan": scanned,
}

NEEDS_SERVICE: dict[str, Callable[[VectorBackend, CollectionSpec], Coroutine[Any, Any, Any]]] = {
    "acreate": lambda backend, spec: backend.acreate(spec),
    "adrop": lambda backend, spec: backend.adrop(spec),
    "acollections": lambda backend, spec: backend.acollections(),
    **MISSING,
}


class AsyncErrorTests(AsyncHarness):
    @about("asynchronous-twins")
    def test_async_errors(self) -> None:
        spec = self.collection()
        for error, wrong in WRONG:
            with expect_error(error, "Asynchronous methods check their arguments."):
                self.in_loop(wrong(self.backend, spec))
        expect_equal(self.backend.count(spec), 0, "No record of a wrong batch is written.")
        with expect_error(CollectionMismatch, "acreate() refuses a collection of another shape."):
            self.in_loop(self.backend.acreate(self.spec(name=spec.name, dimensions=5)))

    @about("asynchronous-twins")
    @pytest.mark.parametrize("method", MISSING)
    def test_async_missing_collection(self, method: str) -> None:
        spec = self.spec()
        with expect_error(CollectionNotFound, f"{method}() needs a collection that exists."):
            self.in_loop(MISSING[method](self.backend, spec))

    @about("a-service-that-is-away-is-an-error")
    def test_async_service_that_is_away(self) -> None:
        backend = self.need(UNREACHABLE, self.unreachable())
        spec = self.spec()
        waits = Waits(backend)
        try:
            for operation, ask in NEEDS_SERVICE.items():
                with waits, expect_unavailable(operation):
                    self.in_loop(ask(backend, spec))
            waits.expect_in_time()
        finally:
            backend.close()

    @about("nothing-is-silently-unwritten")
    def test_async_part_of_a_batch_fails(self) -> None:
        spec = self.collection()
        self.cap_batches(records=3)
        parts = []

        async def fail_second(spec: CollectionSpec, batch: RecordBatch) -> None:
            parts.append(batch)
            if len(parts) == 2:
                if begin := batch[:-1]:
                    await write(spec, begin)
                raise WriteFailed("The disk is full.", batch.uuids[-1:])
            await write(spec, batch)

        write = self.replace("_aupsert", fail_second)
        batch = RecordBatch.of(ids=sorted_ids(10), vectors=random_vectors(10, 4))
        failed: set[UUID] = set()
        try:
            self.in_loop(self.backend.aupsert(spec, batch))
        except WriteFailed as error:
            failed = set(error.ids)
        silent = set(batch.uuids).difference(self.names(spec), failed)
        expect(failed, "A batch that failed in part raises WriteFailed with the ids.")
        expect(
            not silent, f"WriteFailed does not name these records, which were not written: {silent}"
        )
