"""Stores the vectors of a collection, and finds the nearest rows under its metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from wagtail_vector_index.contract import SnapshotPart

from .arrays import Floats, Floats32, Floats64, Rows, grown, restored, row_products, saved
from .matrix import Matrix
from .metrics import METRICS, Query

#: Up to this share of all rows, multiplying only the requested rows is faster.
_GATHERED_SHARE = 0.2
_SCORED_ROWS = 1_024
_GROUPED_VALUES = 64


class Vectors:
    """Rows of vectors, searched exactly."""

    def __init__(self, dimensions: int, metric: str) -> None:
        self._count = 0
        self._matrix = Matrix(dimensions)
        self._metric = METRICS[metric](dimensions)
        self._norms: Floats64 = np.empty(0)

    @property
    def nbytes(self) -> int:
        return self._matrix.bytes_of(self._count) + self._norms.nbytes

    def saved(self) -> Iterator[tuple[str, SnapshotPart]]:
        """Yield the parts of a snapshot."""
        yield "vectors", self._matrix.saved(self._count)
        if self._metric.needs_norms:
            yield "norms", saved(self._norms[: self._count])

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        """Take ``count`` rows from the parts of a snapshot."""
        self._count = count
        self._matrix.restore(parts["vectors"])
        if self._metric.needs_norms:
            self._norms = restored(parts["norms"], np.float64)

    def resize(self, count: int) -> None:
        """Make room for ``count`` rows."""
        self._matrix.resize(count)
        if self._metric.needs_norms:
            self._norms = grown(self._norms, count)

    def append(self, vectors: Floats32) -> None:
        """Add rows. `resize` must have made room for them."""
        start, self._count = self._count, self._count + len(vectors)
        self._matrix.append(start, self._stored(vectors))
        self._measure(np.arange(start, self._count), vectors)

    def replace(self, rows: Rows, vectors: Floats32) -> None:
        """Replace the vectors of these rows."""
        self._matrix.write(rows, self._stored(vectors))
        self._measure(rows, vectors)

    def move(self, sources: Rows, targets: Rows) -> None:
        """Copy the source rows over the target rows."""
        self._matrix.write(targets, self._matrix.take(sources))
        if self._metric.needs_norms:
            self._norms[targets] = self._norms[sources]

    def truncate(self, count: int) -> None:
        """Keep the first ``count`` rows."""
        self._count = count
        self._matrix.resize(count)

    def take(self, rows: Rows) -> Floats32:
        """Return a copy of these rows in their stored form."""
        return self._matrix.take(rows)

    def nearest(self, query: Query, limit: int, rows: Rows | None) -> tuple[Rows, Floats64]:
        """Return rows and their scores: at least the ``limit`` nearest, with all ties.

        Args:
            query: the query.
            limit: the number of rows to find.
            rows: the rows to choose from, in order. None means all rows.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            candidates = self._candidates(query, limit, rows)
            return candidates, self._scores(query, candidates)

    def _candidates(self, query: Query, limit: int, rows: Rows | None) -> Rows:
        """Return every row that may be among the ``limit`` nearest, and few other rows."""
        count = self._count if rows is None else len(rows)
        if limit >= count:
            return np.arange(count) if rows is None else rows
        products = self._products(query, rows)
        values, errors = self._metric.estimate(products, self._norms_of(rows), query)
        if isinstance(errors, float):
            threshold = _reached(values, limit) - errors
        else:
            threshold = _reached(values - errors, limit)
        candidates = np.flatnonzero(values >= threshold - errors)
        return candidates if rows is None else rows[candidates]

    def _products(self, query: Query, rows: Rows | None) -> Floats32:
        if rows is None:
            return self._matrix.products(query.unit, self._count)
        if len(rows) > _GATHERED_SHARE * self._count:
            return self._matrix.products(query.unit, self._count)[rows]
        return self._matrix.products_of(rows, query.unit)

    def _norms_of(self, rows: Rows | None) -> Floats64:
        if rows is None or not self._metric.needs_norms:
            return self._norms[: self._count]
        return self._norms[rows]

    def _scores(self, query: Query, rows: Rows) -> Floats64:
        scores = np.empty(len(rows))
        for start in range(0, len(rows), _SCORED_ROWS):
            part = slice(start, start + _SCORED_ROWS)
            exact = self._matrix.take(rows[part]).astype(np.float64)
            scores[part] = self._metric.scores(exact, query)
        return scores

    def _stored(self, vectors: Floats32) -> Floats32:
        with np.errstate(all="ignore"):
            return self._metric.stored(vectors)

    def _measure(self, rows: Rows, vectors: Floats32) -> None:
        if self._metric.needs_norms:
            exact = vectors.astype(np.float64)
            self._norms[rows] = np.sqrt(row_products(exact, exact))


def _reached(values: Floats, limit: int) -> np.floating[Any]:
    """Return a number that at least ``limit`` of these values reach, and few more."""
    groups = len(values) // _GROUPED_VALUES
    if groups > 4 * limit:
        # The highest values of the groups are distinct values, and much fewer.
        values = values[: groups * _GROUPED_VALUES].reshape(-1, groups).max(axis=0)
    reached: np.floating[Any] = np.partition(values, len(values) - limit)[len(values) - limit]
    return reached
