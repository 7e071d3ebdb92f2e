"""A Hypothesis state machine that does the same to a backend and to the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Q
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import CollectionSpec, Match, Record, RecordBatch
from wagtail_vector_index.exceptions import CollectionNotFound

from .examples import random_vectors, seeded, sorted_ids
from .expect import expect, expect_equal, expect_metadata, expect_ranking, expect_vector
from .oracle import OracleBackend
from .strategies import filters, metadata, random_metadata, vectors

__all__ = ["BackendMachine"]

T = TypeVar("T")

IDS = sorted_ids(8)

chosen_ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=5)


class BackendMachine(RuleBasedStateMachine):
    """Give a backend and the oracle the same calls, and compare the results.

    Args:
        backend: the backend under test.
        specs: the collections that it may use; they are dropped at the end.
    """

    def __init__(self, backend: VectorBackend, specs: Sequence[CollectionSpec]) -> None:
        super().__init__()
        self.backend = backend
        self.oracle = OracleBackend()
        self.specs = specs
        self.teardown()
        for spec in specs:
            self.both(lambda backend, spec=spec: backend.create(spec))  # type: ignore[misc]

    def teardown(self) -> None:
        for spec in self.specs:
            self.backend.drop(spec)

    def chosen(self, data: st.DataObject) -> CollectionSpec:
        return data.draw(st.sampled_from(self.specs), label="collection")

    def both(self, ask: Callable[[VectorBackend], T]) -> tuple[T, T] | None:
        """Return both results, or None if the collection exists for neither."""
        expected, actual = _outcome(ask, self.oracle), _outcome(ask, self.backend)
        if expected is None or actual is None:
            rule = "CollectionNotFound is raised if the collection does not exist, and only then."
            expect_equal(actual is None, expected is None, rule)
            return None
        return actual[0], expected[0]

    @rule(data=st.data(), action=st.sampled_from(["create", "create", "optimize", "drop"]))
    def manage(self, data: st.DataObject, action: str) -> None:
        spec = self.chosen(data)
        if action != "optimize" or spec.name in self.oracle.collections():
            self.both(lambda backend: getattr(backend, action)(spec))

    @initialize(seed=st.integers(0, 10_000))
    def fill(self, seed: int) -> None:
        # Without this, most searches would see only one or two records.
        random = seeded(seed)
        for spec in self.specs:
            data = [random_metadata(spec.fields, random) for _ in IDS]
            self.write(spec, IDS, random_vectors(len(IDS), spec.dimensions, seed), data)

    @rule(data=st.data(), ids=chosen_ids)
    def upsert(self, data: st.DataObject, ids: list[UUID]) -> None:
        spec = self.chosen(data)
        rows = [data.draw(st.tuples(vectors(spec.dimensions), metadata(spec.fields))) for _ in ids]
        self.write(spec, ids, [vector for vector, _ in rows], [texts for _, texts in rows])

    def write(
        self,
        spec: CollectionSpec,
        ids: list[UUID],
        vectors: list[list[float]],
        metadata: list[dict[str, Any]],
    ) -> None:
        batch = RecordBatch.of(ids=ids, vectors=vectors, metadata=metadata)
        self.both(lambda backend: backend.upsert(spec, batch))
        self.same_records(spec, lambda backend: [backend.get(spec, ids)])

    @rule(data=st.data(), ids=chosen_ids)
    def delete(self, data: st.DataObject, ids: list[UUID]) -> None:
        spec = self.chosen(data)
        self.both(lambda backend: backend.delete(spec, ids))
        self.same_records(spec, lambda backend: [backend.get(spec, IDS)])

    @rule(data=st.data(), size=st.sampled_from([1, 2, 5, 100]))
    def scan(self, data: st.DataObject, size: int) -> None:
        spec = self.chosen(data)
        self.same_records(spec, lambda backend: list(backend.scan(spec, batch_size=size)), size)

    def same_records(
        self,
        spec: CollectionSpec,
        ask: Callable[[VectorBackend], Sequence[RecordBatch]],
        size: int = 100,
    ) -> None:
        if answers := self.both(ask):
            expect(
                all(len(batch) <= size for batch in answers[0]),
                f"A batch has at most {size} records.",
            )
            actual, expected = (_sorted(batches) for batches in answers)
            rule = "Exactly the records that were written are stored."
            expect_equal([one.id for one in actual], [one.id for one in expected], rule)
            for one, other in zip(actual, expected, strict=True):
                expect_vector(one.vector, other.vector, direction=spec.metric == "cosine")
                expect_metadata(one.metadata, other.metadata)

    @rule(data=st.data(), limit=st.sampled_from([1, 2, 5, 100]))
    def search(self, data: st.DataObject, limit: int) -> None:
        spec = self.chosen(data)
        query = data.draw(vectors(spec.dimensions), label="query")
        keep = data.draw(st.none() | filters(spec.fields), label="filter")
        min_score = data.draw(st.sampled_from([None, None, -1.25, 0.51]), label="min_score")
        self.same_matches(spec, query, limit=limit, filter=keep, min_score=min_score)

    @rule(data=st.data())
    def filter(self, data: st.DataObject) -> None:
        spec = self.chosen(data)
        keeps = data.draw(st.lists(filters(spec.fields), min_size=3, max_size=6), label="filters")
        for keep in keeps:
            self.same_matches(spec, [1.0] * spec.dimensions, limit=100, filter=keep)
            if answers := self.both(lambda backend, keep=keep: backend.count(spec, keep)):  # type: ignore[misc]
                expect_equal(*answers, f"count({keep}) returns the number of matching records.")

    def same_matches(
        self,
        spec: CollectionSpec,
        query: list[float],
        *,
        limit: int,
        filter: Q | None,
        min_score: float | None = None,
    ) -> None:
        def ask(backend: VectorBackend) -> list[Match]:
            if backend is self.oracle:
                return backend.search(spec, query, limit=100, filter=filter)
            return backend.search(spec, query, limit=limit, filter=filter, min_score=min_score)

        if answers := self.both(ask):
            scores = {match.id: match.score for match in answers[1]}
            expect_ranking(answers[0], scores, limit=limit, min_score=min_score)


def _sorted(batches: Sequence[RecordBatch]) -> list[Record]:
    records = [record for batch in batches for record in batch]
    return sorted(records, key=lambda record: record.id)


def _outcome(ask: Callable[[VectorBackend], T], backend: VectorBackend) -> tuple[T] | None:
    try:
        return (ask(backend),)
    except CollectionNotFound:
        return None
