"""Vectors that are searched by their signs first, and then exactly among the likeliest."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Floats32, Rows
from .metrics import Query
from .signs import Signs
from .vectors import Vectors

# Rows whose mean is near enough to that of all.
_SAMPLED_ROWS = 4_096
# Rows whose signs are taken at a time, so that they stay in the processor's cache.
_SIGNED_ROWS = 512


class QuantizedVectors(Vectors):
    """Rows of vectors under cosine; a search multiplies the likeliest of them only.

    A thirty-second of the memory is read to find those: the signs of a vector differ from
    those of the query in a share of about θ/π, where θ is the angle between them (Charikar,
    "Similarity estimation techniques from rounding algorithms", 2002). What is among the
    likeliest is scored as exactly as without signs.

    How many are taken follows what was measured on embeddings of texts, from 100,000 to
    1,000,000 of them and with limits from 1 to 100: for the same recall, ten times the rows
    need twice as many, and ten times the limit five times as many.

    Args:
        dimensions: the number of components of each vector.
        oversampling: times the limit, and the cube root of rows by limit, are candidates.
    """

    #: Up to so many rows are searched exactly; the contract asks for it under filters.
    exact_rows = 50_000

    #: Above this share of all rows as candidates, there is nothing to gain.
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
        if count <= self.exact_rows // 2:  # not at once, lest they are soon made again
            self._signs = None

    def _candidates(self, query: Query, limit: int, rows: Rows | None) -> Rows:
        return super()._candidates(query, limit, self._likeliest(query, limit, rows))

    def _likeliest(self, query: Query, limit: int, rows: Rows | None) -> Rows | None:
        """Those of the rows that are worth multiplying, and all that tie with the last."""
        count = self._count if rows is None else len(rows)
        if not self._signs or count <= self.exact_rows:
            return rows
        wanted = self._wanted(min(limit, count), count)
        if wanted > self.largest_share * count:
            return rows
        distances = self._signs.distances(query.unit, self._count, rows)
        likeliest = np.flatnonzero(distances <= np.partition(distances, wanted - 1)[wanted - 1])
        return likeliest if rows is None else rows[likeliest]

    def _wanted(self, limit: int, count: int) -> int:
        """How many candidates to take for so many matches."""
        return math.ceil(min(count, self._oversampling * limit * math.cbrt(count / limit)))

    def _renewed(self, written: int) -> bool:
        """Make all signs anew if it is time to, now that some rows more were written.

        The centre of what was loaded first need not be that of all. So it is chosen again
        when as many rows were written as there were, which doubles the cost of a row.
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
