"""The base of the conformance tests: a backend, its collections, and their records."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import (
    METRICS,
    CollectionSpec,
    FieldType,
    Metric,
    Record,
    RecordBatch,
)

from . import reporting
from .capabilities import METRIC, Capability
from .examples import id_of, random_vectors
from .expect import expect_matches, expect_once
from .threads import InThreads

__all__ = ["THOROUGH", "Harness", "new_name"]

T = TypeVar("T")

#: The environment variable that makes every run thorough.
THOROUGH = "WAGTAIL_VECTOR_INDEX_THOROUGH"


def new_name() -> str:
    """Return a new name for a collection, which shows that it belongs to these tests."""
    return f"conformance{uuid4().hex[:16]}"


class Harness(InThreads):
    """Make the backend on first use, and drop its collections after each test."""

    #: Are collections and batches larger, and random tests longer? ``pytest --thorough`` and
    #: the environment variable ``WAGTAIL_VECTOR_INDEX_THOROUGH`` set this for classes that
    #: leave it as it is.
    thorough: bool = os.environ.get(THOROUGH, "0") not in {"", "0"}

    #: How many records, values and texts do the largest tests have at most? A smaller number is
    #: for a slow store that only stands in for another one, and for an index that is forced to
    #: search so few records approximately.
    at_most: int = 1_000_000

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Report skipped tests and broken rules at the end of this run."""
        reporting.register(metafunc.config)
        if metafunc.config.getoption("thorough", default=False):
            Harness.thorough = True  # unless a class has its own value

    def make_backend(self) -> VectorBackend:
        """Make a new instance of the backend under test. Override this."""
        raise NotImplementedError(f"{type(self).__name__} must define make_backend().")

    def refusing(
        self, backend: VectorBackend, spec: CollectionSpec, ids: Collection[UUID]
    ) -> AbstractContextManager[None] | None:
        """Return a context in which the store itself refuses to write these ids.

        Override it if a store can refuse part of a batch. None skips the test.
        """
        return None

    def unreachable(self) -> VectorBackend | None:
        """Make a backend whose service cannot be reached, such as at a port that is closed.

        Override it if there is a service or a file. None skips the tests.
        """
        return None

    @cached_property
    def backend(self) -> VectorBackend:
        """The backend under test, one for each test."""
        return self.make_backend()

    @cached_property
    def made(self) -> list[CollectionSpec]:
        """The collections to drop after the test."""
        return []

    @cached_property
    def known(self) -> dict[UUID, str]:
        """The names of the records that `describe` wrote, by id."""
        return {}

    def teardown_method(self) -> None:
        if "backend" in self.__dict__:
            self.at_the_end(self.drop_all)

    def drop_all(self) -> None:
        """Drop the collections of the test, and close its backend."""
        # If one drop fails, the others are done all the same.
        with ExitStack() as ending:
            ending.callback(self.backend.close)
            for spec in self.made:
                ending.callback(self.backend.drop, spec)

    def need(self, capability: Capability, declared: T | None) -> T:
        """Return what the backend declares, or skip the test if it declares nothing."""
        __tracebackhide__ = True
        if not declared:
            pytest.skip(capability.closed)
        return declared

    def spec(
        self,
        metric: Metric | None = None,
        *,
        dimensions: int = 4,
        fields: Mapping[str, FieldType] | None = None,
        name: str = "",
    ) -> CollectionSpec:
        """Return the spec of a collection that does not exist yet, under a new name."""
        __tracebackhide__ = True
        if metric is not None:
            self.need(METRIC[metric], metric in self.backend.metrics)
        known = [each for each in METRICS if each in self.backend.metrics]
        spec = CollectionSpec(
            name=name or new_name(),
            dimensions=dimensions,
            metric=metric or known[0],
            fields=fields or {},
        )
        self.made.append(spec)
        return spec

    def collection(self, metric: Metric | None = None, **shape: Any) -> CollectionSpec:
        """Create a collection, and return its spec."""
        __tracebackhide__ = True
        spec = self.spec(metric, **shape)
        self.backend.create(spec)
        return spec

    def replace(self, name: str, value: object) -> Any:
        """Replace an attribute of the backend for this test, and return the old value."""
        original = getattr(self.backend, name)
        setattr(self.backend, name, value)
        return original

    def cap_batches(self, *, records: int) -> None:
        """Limit the number of records in one call of ``_upsert``, ``_delete`` or ``_get``."""
        self.cap("max_batch_records", records)

    def cap(self, limit: str, most: int) -> None:
        """Lower a limit of the backend for this test. A lower one stays: its store needs it."""
        self.replace(limit, min(most, getattr(self.backend, limit)))

    def put(self, spec: CollectionSpec, rows: Mapping[str, Sequence[float]]) -> None:
        """Write a vector for each name, under the id of the name (`id_of`)."""
        ids = [id_of(name) for name in rows]
        self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=rows.values()))

    def describe(self, spec: CollectionSpec, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Write metadata for each name, with a random vector."""
        self.known.update({id_of(name): name for name in rows})
        batch = RecordBatch.of(
            ids=[id_of(name) for name in rows],
            vectors=random_vectors(len(rows), spec.dimensions),
            metadata=rows.values(),
        )
        self.backend.upsert(spec, batch)

    def stored(self, spec: CollectionSpec) -> dict[UUID, Record]:
        """Return all records of a collection, by id."""
        records = [record for batch in self.backend.scan(spec) for record in batch]
        expect_once((record.id for record in records), "scan()")
        return {record.id: record for record in records}

    def names(self, spec: CollectionSpec, filter: Q | None = None) -> list[UUID]:
        """Return the ids of all records that a search with this filter finds."""
        query = [1.0] * spec.dimensions
        matches = self.backend.search(spec, query, limit=10_000, filter=filter)
        expect_matches(matches)
        found = [match.id for match in matches]
        expect_once(found, "search()")
        return sorted(found)
