"""One collection in memory: rows of ids, vectors and metadata, without gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from wagtail_vector_index.contract import (
    CollectionSpec,
    FilterNode,
    Match,
    RecordBatch,
    SnapshotPart,
)
from wagtail_vector_index.contract.arrays import matrix
from wagtail_vector_index.exceptions import CollectionNotFound

from .arrays import Floats32, Rows
from .ids import Ids, Keys, keys_of
from .locking import ReadWriteLock
from .metadata import Metadata
from .metrics import Query
from .quantized import QuantizedVectors
from .vectors import Vectors

if TYPE_CHECKING:
    from .backend import NumpyBackend


class Collection:
    """The records of a collection, n of them in rows 0 to n − 1.

    New records go to the end, and a record from the end moves to the row of a deleted record.
    So a change of k records touches k rows, and a search reads all rows in one sweep. Searches
    run in parallel. A change runs alone and is short.
    """

    def __init__(self, spec: CollectionSpec, options: NumpyBackend.Options) -> None:
        self.spec = spec
        self._lock = ReadWriteLock()
        self._ids = Ids()
        self._vectors = _new_vectors(spec, options)
        self._metadata = Metadata(spec.fields)
        #: Whether a change broke off, as when memory runs out. The parts of rows no longer match.
        self.is_torn = False

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """The memory that the records take, in bytes."""
        with self._lock.reading():
            return self._ids.nbytes + self._vectors.nbytes + self._metadata.nbytes

    def saved(self) -> Mapping[str, SnapshotPart]:
        """Return the parts of a snapshot. The caller keeps writes out until they are stored."""
        with self._reading():
            count = SnapshotPart(data=[str(len(self)).encode()])
            parts = (*self._ids.saved(), *self._vectors.saved(), *self._metadata.saved())
            return {"count": count, **dict(parts)}

    def restore(self, parts: Mapping[str, SnapshotPart]) -> None:
        """Take all rows from the parts of a snapshot. Changes are seen by this process alone."""
        count = int(bytes(parts["count"].buffer))
        for part in (self._ids, self._vectors, self._metadata):
            part.restore(count, parts)

    def upsert(self, batch: RecordBatch) -> None:
        """Write records with distinct ids. Existing records with these ids are replaced."""
        keys, vectors, texts = keys_of(batch.ids), matrix(batch), list(batch.metadata)
        with self._lock.writing():
            rows = self._ids.find(keys)
            # Everything that can fail comes before the first change.
            values = self._metadata.encoded(texts)
            new, old = np.flatnonzero(rows < 0), np.flatnonzero(rows >= 0)
            self._ids.reserve(len(new))
            with self._changing():
                self._vectors.resize(len(self._ids) + len(new))
                if len(old):
                    self._vectors.replace(rows[old], _chosen(vectors, old))
                    self._metadata.replace(
                        rows[old],
                        [texts[index] for index in old.tolist()],
                        {field: column[old] for field, column in values.items()},
                    )
                if len(new):
                    self._vectors.append(_chosen(vectors, new))
                    self._metadata.append(
                        [texts[index] for index in new.tolist()],
                        {field: column[new] for field, column in values.items()},
                    )
                    self._ids.append(keys[new])
                self._metadata.drop_bloated_columns()

    def delete(self, ids: Sequence[UUID]) -> None:
        """Delete the records with these distinct ids. Missing ids are ignored."""
        with self._lock.writing():
            rows = self._ids.find(_keys(ids))
            rows = rows[rows >= 0]
            count = len(self._ids) - len(rows)
            with self._changing():
                self._ids.remove(rows)
                tail = np.arange(count, len(self._ids))
                sources, targets = np.setdiff1d(tail, rows), rows[rows < count]
                for part in (self._ids, self._vectors, self._metadata):
                    part.move(sources, targets)
                    part.truncate(count)
                self._metadata.drop_bloated_columns()

    def search(
        self, vector: memoryview, limit: int, filter: FilterNode | None, min_score: float | None
    ) -> list[Match]:
        """Return the nearest records, best first. Equal scores order by id."""
        query = Query.of(vector)
        with self._reading():
            rows = None if filter is None else np.flatnonzero(self._metadata.matching(filter))
            rows, scores = self._vectors.nearest(query, limit, rows)
            if min_score is not None:
                near = scores >= min_score
                rows, scores = rows[near], scores[near]
            best = np.lexsort((self._ids.rank(rows), -scores))[:limit]
            keys, scores = self._ids.keys(rows[best]), scores[best]
        return [
            Match(id=id, score=score)
            for id, score in zip(_uuids(keys), scores.tolist(), strict=True)
        ]

    def count(self, filter: FilterNode | None) -> int:
        """Return the number of records that match."""
        with self._reading():
            if filter is None:
                return len(self._ids)
            return int(np.count_nonzero(self._metadata.matching(filter)))

    def get(self, ids: Sequence[UUID]) -> RecordBatch:
        """Return the records with these ids. Missing ids are left out."""
        return self._batch(_keys(ids))

    def scan(self, batch_size: int) -> Iterator[RecordBatch]:
        """Return an iterator over all records of this moment that are not deleted meanwhile."""
        # The ids are copied now. Rows move during a scan, but each record must be seen only once.
        with self._reading():
            keys = self._ids.keys(slice(None)).copy()
        parts = (keys[start : start + batch_size] for start in range(0, len(keys), batch_size))
        return filter(len, map(self._batch, parts))

    def _batch(self, keys: Keys) -> RecordBatch:
        with self._reading():
            rows = self._ids.find(keys)
            rows = rows[rows >= 0]
            return RecordBatch(
                ids=self._ids.keys(rows).tobytes(),
                vectors=self._vectors.take(rows).reshape(-1).data,
                metadata=self._metadata.texts(rows),
                dimensions=self.spec.dimensions,
            )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.is_torn = True
            raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock.reading():
            if self.is_torn:
                raise CollectionNotFound(f"The collection {self.spec.name!r} is only half-written.")
            yield


def _chosen(vectors: Floats32, positions: Rows) -> Floats32:
    """Return the vectors at these positions, without a copy if these are all positions."""
    return vectors if len(positions) == len(vectors) else vectors[positions]


def _new_vectors(spec: CollectionSpec, options: NumpyBackend.Options) -> Vectors:
    # Signs approximate directions only, not lengths or distances.
    if options.quantization == "binary" and spec.metric == "cosine":
        return QuantizedVectors(spec.dimensions, options.oversampling)
    return Vectors(spec.dimensions, spec.metric)


def _keys(ids: Sequence[UUID]) -> Keys:
    return keys_of(b"".join([id.bytes for id in ids]))


def _uuids(keys: Keys) -> list[UUID]:
    data = keys.tobytes()
    return [UUID(bytes=data[start : start + 16]) for start in range(0, len(data), 16)]
