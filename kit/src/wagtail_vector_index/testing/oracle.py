"""A vector backend in plain Python: slow, but simple enough to be right. Tests compare with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import (
    CollectionSpec,
    FilterNode,
    Match,
    Metric,
    Record,
    RecordBatch,
)
from wagtail_vector_index.exceptions import CollectionMismatch, CollectionNotFound

from .judging import matches, score

__all__ = ["OracleBackend", "StoredCollection"]


@dataclass
class StoredCollection:
    """A collection's shape and its records."""

    spec: CollectionSpec
    records: dict[UUID, Record] = field(default_factory=dict)


class OracleBackend(VectorBackend):
    """A backend that keeps records in dicts, and reads all of them for every search."""

    def __init__(self, alias: str = "oracle", options: Any = None) -> None:
        super().__init__(alias, options)
        self.stored: dict[str, StoredCollection] = {}
        self.lock = threading.RLock()

    @property
    def persistent(self) -> bool:
        return False

    def _collection(self, spec: CollectionSpec) -> StoredCollection:
        try:
            return self.stored[spec.name]
        except KeyError:
            raise CollectionNotFound(f"{self!r} has no collection {spec.name!r}.") from None

    def _records(self, spec: CollectionSpec) -> list[Record]:
        with self.lock:
            return list(self._collection(spec).records.values())

    def _create(self, spec: CollectionSpec) -> None:
        with self.lock:
            existing = self.stored.setdefault(spec.name, StoredCollection(spec))
        if existing.spec != spec:
            raise CollectionMismatch(f"{spec.name} exists as {existing.spec}, not as {spec}.")

    def _drop(self, spec: CollectionSpec) -> None:
        with self.lock:
            self.stored.pop(spec.name, None)

    def _collections(self) -> list[str]:
        with self.lock:
            return list(self.stored)

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        records = {record.id: record for record in batch}
        with self.lock:
            self._collection(spec).records.update(records)

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        with self.lock:
            records = self._collection(spec).records
            for id in ids:
                records.pop(id, None)

    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview,
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        query = vector.tolist()
        found = [
            Match(id=record.id, score=self._score(spec.metric, query, record.vector))
            for record in self._records(spec)
            if self._matches(filter, record.metadata)
        ]
        near = [match for match in found if min_score is None or match.score >= min_score]
        return sorted(near, key=lambda match: (-match.score, match.id.int))[:limit]

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return sum(self._matches(filter, record.metadata) for record in self._records(spec))

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        wanted = set(ids)
        return self._batch([record for record in self._records(spec) if record.id in wanted])

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        records = self._records(spec)
        for start in range(0, len(records), batch_size):
            yield self._batch(records[start : start + batch_size])

    # The steps that tests of the suite replace with wrong ones

    def _score(self, metric: Metric, query: Sequence[float], vector: Sequence[float]) -> float:
        return score(metric, query, vector)

    def _matches(self, node: FilterNode | None, metadata: dict[str, Any]) -> bool:
        return matches(node, metadata)

    def _batch(self, records: Sequence[Record]) -> RecordBatch:
        return RecordBatch.of(
            ids=[record.id for record in records],
            vectors=[record.vector for record in records],
            metadata=[json.loads(json.dumps(record.metadata)) for record in records],
        )
