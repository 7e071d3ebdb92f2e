"""Finds candidates by the signs of vectors, and searches these candidates exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from wagtail_vector_index.contract import EXACT_UP_TO, SnapshotPart

from .arrays import Floats32, Rows, restored, saved
from .metrics import Query
from .signs import Signs
from .vectors import Vectors

# The number of sampled rows whose mean is close enough to the mean of all rows.
_SAMPLED_ROWS = 4_096
# How many rows are converted to signs at a time, so that they stay in the processor's cache.
_SIGNED_ROWS = 512


class QuantizedVectors(Vectors):
    """Rows of vectors under cosine. A search multiplies only the likeliest rows, the candidates.

    Finding the candidates reads a thirty-second of the memory. The share of signs that differ
    between a vector and the query is about θ/π, where θ is the angle between them (Charikar,
    "Similarity estimation techniques from rounding algorithms", 2002). Candidates are scored as
    exactly as without signs.

    The number of candidates follows measurements on embeddings of texts, with 100,000 to
    1,000,000 rows and limits from 1 to 100. For the same recall, ten times the rows need twice as
    many candidates, and ten times the limit needs five times as many.

    Args:
        dimensions: the number of components of each vector.
        oversampling: a factor for the number of candidates, which is this factor times the limit
            times the cube root of (rows / limit).
    """

    #: Up to this many rows are searched exactly. The contract requires it for filtered searches.
    exact_rows = EXACT_UP_TO

    #: If a larger share of all rows would be candidates, an exact search is as fast.
    largest_share = 0.1

    def __init__(self, dimensions: int, oversampling: float) -> None:
        super().__init__(dimensions, "cosine")
        self._oversampling = oversampling
        self._signs: Signs | None = None
        self._room = 0
        self._centred = 0  # the number of rows when the centre was chosen
        self._written = 0  # the number of rows written since

    @property
    def nbytes(self) -> int:
        return super().nbytes + (self._signs.nbytes if self._signs else 0)

    def saved(self) -> Iterator[tuple[str, SnapshotPart]]:
        yield from super().saved()
        if self._signs:
            yield from self._signs.saved(self._count)
            yield "renewal", saved(np.array([self._centred, self._written]))

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        super().restore(count, parts)
        self._room = count
        if "renewal" in parts:
            self._signs = Signs.restored(parts)
            self._centred, self._written = restored(parts["renewal"], np.int64)[:2].tolist()

    def resize(self, count: int) -> None:
        super().resize(count)
        self._room = count
        if self._signs:
            self._signs.resize(count)

    def append(self, vectors: Floats32) -> None:
        start = self._count
        super().append(vectors)
        if not self._renewed(len(vectors)):
            self._sign(start)

    def replace(self, rows: Rows, vectors: Floats32) -> None:
        super().replace(rows, vectors)
        if not self._renewed(len(vectors)) and self._signs:
            self._signs.write(rows, self.take(rows))

    def move(self, sources: Rows, targets: Rows) -> None:
        super().move(sources, targets)
        if self._signs:
            self._signs.move(sources, targets)

    def truncate(self, count: int) -> None:
        super().truncate(count)
        self._centred = min(self._centred, count)
        # Only below half of `exact_rows`, so that signs are not dropped and built in turns.
        if count <= self.exact_rows // 2:
            self._signs = None

    def _candidates(self, query: Query, limit: int, rows: Rows | None) -> Rows:
        return super()._candidates(query, limit, self._likeliest(query, limit, rows))

    def _likeliest(self, query: Query, limit: int, rows: Rows | None) -> Rows | None:
        """Return the candidates among the rows, with all rows that tie with the last candidate."""
        count = self._count if rows is None else len(rows)
        if not self._signs or count <= self.exact_rows:
            return rows
        wanted = self._wanted(min(limit, count), count)
        if wanted > self.largest_share * count:
            return rows
        distances = self._signs.distances(query.unit, self._count, rows)
        # Of whole numbers as small as these, counting each takes a fifth of a partition's time.
        reached = int(np.searchsorted(np.cumsum(np.bincount(distances)), wanted))
        likeliest = np.flatnonzero(distances <= reached)
        return likeliest if rows is None else rows[likeliest]

    def _wanted(self, limit: int, count: int) -> int:
        """Return the number of candidates for ``limit`` matches among ``count`` rows."""
        return math.ceil(min(count, self._oversampling * limit * math.cbrt(count / limit)))

    def _renewed(self, written: int) -> bool:
        """Compute all signs again if enough rows were written, and return whether that was so.

        The centre of the rows that were loaded first may differ from the centre of all rows. So a
        new centre is chosen when as many rows were written as there were. This doubles the cost of
        writing a row.
        """
        self._written += written
        if self._count <= self.exact_rows or (self._signs and self._written < self._centred):
            return False
        sample = self.take(np.arange(0, self._count, -(-self._count // _SAMPLED_ROWS)))
        self._signs = Signs(sample.mean(axis=0))
        self._signs.resize(self._room)
        self._centred, self._written = self._count, 0
        self._sign(0)
        return True

    def _sign(self, start: int) -> None:
        """Write the signs of the rows from ``start``."""
        if self._signs:
            for rows, vectors in self._matrix.stretches(start, self._count, _SIGNED_ROWS):
                self._signs.write(rows, vectors)
