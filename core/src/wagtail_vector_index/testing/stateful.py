"""A Hypothesis state machine that drives a backend beside the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.db.models import Q
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ..backends.base import VectorBackend
from ..collection import CollectionSpec
from ..exceptions import CollectionNotFound
from ..records import Record, RecordBatch
from .examples import sorted_ids
from .expect import expect, expect_equal, expect_metadata, expect_ranking, expect_vector
from .oracle import OracleBackend
from .strategies import filters, metadata, vectors

__all__ = ["BackendMachine"]

T = TypeVar("T")

IDS = sorted_ids(12)

ids = st.sampled_from(IDS)


class BackendMachine(RuleBasedStateMachine):
    """Asks a backend and the oracle the same, and compares what they say.

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
        self.both(lambda backend: backend.create(specs[0]))

    def teardown(self) -> None:
        for spec in self.specs:
            self.backend.drop(spec)

    def chosen(self, data: st.DataObject) -> CollectionSpec:
        return data.draw(st.sampled_from(self.specs), label="collection")

    def both(self, ask: Callable[[VectorBackend], T]) -> tuple[T, T] | None:
        """What the backend and the oracle say; None if both miss the collection."""
        expected, actual = _outcome(ask, self.oracle), _outcome(ask, self.backend)
        if expected is None or actual is None:
            rule = "CollectionNotFound is raised if, and only if, there is no such collection."
            expect_equal(actual is None, expected is None, rule)
            return None
        return actual[0], expected[0]

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        spec = self.chosen(data)
        self.both(lambda backend: backend.create(spec))

    @rule(data=st.data(), sure=st.sampled_from([True, False, False]))
    def drop(self, data: st.DataObject, *, sure: bool) -> None:
        spec = self.chosen(data)
        if sure:
            self.both(lambda backend: backend.drop(spec))

    @rule(data=st.data())
    def upsert(self, data: st.DataObject) -> None:
        spec = self.chosen(data)
        rows = data.draw(
            st.lists(st.tuples(ids, vectors(spec.dimensions), metadata(spec.fields)), max_size=8),
            label="records",
        )
        batch = RecordBatch.of(
            ids=[id for id, _, _ in rows],
            vectors=[vector for _, vector, _ in rows],
            metadata=[texts for _, _, texts in rows],
        )
        self.both(lambda backend: backend.upsert(spec, batch))

    @rule(data=st.data(), ids=st.lists(ids, max_size=4))
    def delete(self, data: st.DataObject, ids: list[Any]) -> None:
        spec = self.chosen(data)
        self.both(lambda backend: backend.delete(spec, ids))

    @rule(data=st.data())
    def optimize(self, data: st.DataObject) -> None:
        spec = self.chosen(data)
        if spec.name in self.oracle.collections():
            self.both(lambda backend: backend.optimize(spec))

    @rule(data=st.data(), limit=st.sampled_from([1, 2, 5, 100]))
    def search(self, data: st.DataObject, limit: int) -> None:
        spec = self.chosen(data)
        query = data.draw(vectors(spec.dimensions), label="query")
        keep = data.draw(filters(spec.fields), label="filter")
        min_score = data.draw(st.sampled_from([None, None, -1.25, 0.0, 0.51]), label="min_score")
        answers = self.both(
            lambda backend: (
                backend.search(spec, query, limit=100, filter=keep)
                if backend is self.oracle
                else backend.search(spec, query, limit=limit, filter=keep, min_score=min_score)
            )
        )
        if answers:
            scores = {match.id: match.score for match in answers[1]}
            expect_ranking(answers[0], scores, limit=limit, min_score=min_score)

    @rule(data=st.data())
    def count(self, data: st.DataObject) -> None:
        spec = self.chosen(data)
        keep: Q | None = data.draw(filters(spec.fields), label="filter")
        if answers := self.both(lambda backend: backend.count(spec, keep)):
            expect_equal(*answers, f"count({keep}) counts what matches.")

    @rule(data=st.data(), ids=st.lists(ids, max_size=6))
    def get(self, data: st.DataObject, ids: list[Any]) -> None:
        spec = self.chosen(data)
        if answers := self.both(lambda backend: list(backend.get(spec, ids))):
            same_records(*answers, spec)

    @rule(data=st.data(), size=st.sampled_from([1, 2, 5, 100]))
    def scan(self, data: st.DataObject, size: int) -> None:
        spec = self.chosen(data)
        if answers := self.both(lambda backend: list(backend.scan(spec, batch_size=size))):
            expect(all(len(batch) <= size for batch in answers[0]), f"Batches of at most {size}.")
            actual, expected = ([record for batch in each for record in batch] for each in answers)
            same_records(actual, expected, spec)


def _outcome(ask: Callable[[VectorBackend], T], backend: VectorBackend) -> tuple[T] | None:
    try:
        return (ask(backend),)
    except CollectionNotFound:
        return None


def same_records(
    actual: Iterable[Record], expected: Iterable[Record], spec: CollectionSpec
) -> None:
    """Fail unless both are the same records, in any order."""
    one = sorted(actual, key=lambda record: record.id)
    other = sorted(expected, key=lambda record: record.id)
    expect_equal(
        [r.id for r in one], [r.id for r in other], "Exactly the records that were written."
    )
    for mine, right in zip(one, other, strict=True):
        expect_vector(mine.vector, right.vector, direction=spec.metric == "cosine")
        expect_metadata(mine.metadata, right.metadata)
