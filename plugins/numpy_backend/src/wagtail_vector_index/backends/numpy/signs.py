"""Stores one bit for each component of a vector, and counts the bits that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import SnapshotPart

from .arrays import Floats32, Rows, grown, restored, saved

Distances: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

_WORD_BITS = 64
# How many rows are compared at a time, so that they stay in the processor's cache.
_COMPARED_ROWS = 65_536
#: Up to this share of all rows, comparing only the requested rows is faster.
_GATHERED_SHARE = 0.5


class Signs:
    """Holds a bit for each component of each row: whether it is above the centre's component.

    The bits of 64 components are a word. One array holds the first word of every row, another
    the second word, and so on. Each array is compared in one sweep, and is small enough to grow
    by copying without taking much memory.

    Args:
        centre: the centre of the vectors. Most models put all texts on one side of zero, so that
            signs relative to zero would hardly differ.
    """

    def __init__(self, centre: Floats32) -> None:
        self._centre = centre
        self._counting = np.min_scalar_type(len(centre))
        words = -(-len(centre) // _WORD_BITS)
        self._planes = [np.empty(0, np.uint64) for _ in range(words)]

    @property
    def nbytes(self) -> int:
        return sum(plane.nbytes for plane in self._planes)

    def saved(self, count: int) -> Iterator[tuple[str, SnapshotPart]]:
        """Yield the parts of a snapshot of the first ``count`` rows."""
        yield "centre", SnapshotPart(data=[self._centre.data])
        for number, plane in enumerate(self._planes):
            yield f"signs {number}", saved(plane[:count])

    @classmethod
    def restored(cls, parts: Mapping[str, SnapshotPart]) -> Signs:
        """Return the signs in the parts of a snapshot."""
        signs = cls(restored(parts["centre"], np.float32))
        for number in range(len(signs._planes)):
            signs._planes[number] = restored(parts[f"signs {number}"], np.uint64)
        return signs

    def resize(self, count: int) -> None:
        """Make room for ``count`` rows."""
        for number, plane in enumerate(self._planes):
            self._planes[number] = grown(plane, count)

    def write(self, rows: Rows | slice, vectors: Floats32) -> None:
        """Write the signs of one vector into each of these rows. `resize` must have made room."""
        for plane, words in zip(self._planes, self._words(vectors), strict=True):
            plane[rows] = words

    def move(self, sources: Rows, targets: Rows) -> None:
        """Copy the source rows over the target rows."""
        for plane in self._planes:
            plane[targets] = plane[sources]

    def distances(self, vector: Floats32, count: int, rows: Rows | None) -> Distances:
        """Return, for each row, the number of signs that differ from the vector's signs.

        Args:
            vector: the vector to compare with.
            count: the number of rows in use.
            rows: the rows to compare, in order. None means the first ``count`` rows.
        """
        if rows is not None and len(rows) > _GATHERED_SHARE * count:
            return self.distances(vector, count, None)[rows]
        words = self._words(vector[None])[:, 0]
        distances = np.zeros(count if rows is None else len(rows), self._counting)
        different = np.empty(_COMPARED_ROWS, np.uint64)
        bits = np.empty(_COMPARED_ROWS, np.uint8)
        for start in range(0, len(distances), _COMPARED_ROWS):
            part = distances[start : start + _COMPARED_ROWS]
            stop = start + len(part)
            compared = slice(start, stop) if rows is None else rows[start:stop]
            others, counts = different[: len(part)], bits[: len(part)]
            for plane, word in zip(self._planes, words, strict=True):
                np.bitwise_xor(plane[compared], word, out=others)
                part += np.bitwise_count(others, out=counts)
        return distances

    def _words(self, vectors: Floats32) -> npt.NDArray[np.uint64]:
        """Return the first word of each vector, then the second word of each, and so on."""
        room = np.zeros((len(vectors), len(self._planes) * _WORD_BITS // 8), np.uint8)
        bits = np.packbits(vectors > self._centre, axis=1)
        room[:, : bits.shape[1]] = bits
        return room.view(np.uint64).T
