"""One collection in memory: rows of ids, vectors and metadata, without gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from wagtail_vector_index.contract import CollectionSpec, FilterNode, SnapshotPart
from wagtail_vector_index.exceptions import CollectionNotFound

from .arrays import Floats32, Floats64, Rows
from .ids import Ids, Keys
from .locking import ReadWriteLock
from .metadata import Metadata
from .metrics import Query
from .vectors import Vectors


class Collection:
    """The records of a collection, n of them in rows 0 to n − 1.

    New records go to the end, and a record from the end moves to the row of a deleted record.
    So a change of k records touches k rows, and a search reads all rows in one sweep. Searches
    run in parallel. A change runs alone and is short.
    """

    def __init__(self, spec: CollectionSpec, vectors: Vectors) -> None:
        self.spec = spec
        self._lock = ReadWriteLock()
        self._ids = Ids()
        self._vectors = vectors
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

    def upsert(self, keys: Keys, vectors: Floats32, texts: list[str]) -> None:
        """Write records with distinct ids. Existing records with these ids are replaced."""
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

    def delete(self, keys: Keys) -> None:
        """Delete the records with these distinct ids. Missing ids are ignored."""
        with self._lock.writing():
            rows = self._ids.find(keys)
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
        self, query: Query, limit: int, filter: FilterNode | None, min_score: float | None
    ) -> tuple[Keys, Floats64]:
        """Return ids and scores of the nearest records, best first. Equal scores order by id."""
        with self._reading():
            rows = None if filter is None else np.flatnonzero(self._metadata.matching(filter))
            rows, scores = self._vectors.nearest(query, limit, rows)
            if min_score is not None:
                near = scores >= min_score
                rows, scores = rows[near], scores[near]
            best = np.lexsort((self._ids.rank(rows), -scores))[:limit]
            return self._ids.keys(rows[best]), scores[best]

    def count(self, filter: FilterNode | None) -> int:
        """Return the number of records that match."""
        with self._reading():
            if filter is None:
                return len(self._ids)
            return int(np.count_nonzero(self._metadata.matching(filter)))

    def get(self, keys: Keys) -> tuple[Keys, Floats32, list[str]]:
        """Return the records with these ids. Missing ids are left out."""
        with self._reading():
            rows = self._ids.find(keys)
            rows = rows[rows >= 0]
            return self._ids.keys(rows), self._vectors.take(rows), self._metadata.texts(rows)

    def keys(self) -> Keys:
        """Return a copy of all ids."""
        with self._reading():
            return self._ids.keys(slice(None)).copy()

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
