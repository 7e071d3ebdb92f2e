"""The graph of USearch, which proposes rows that are probably near.

The collection scores the proposed rows by its own vectors. So a wrong key, quantised vectors or an
outdated graph can never make a result wrong. They can only make it less complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from usearch.index import Index

from wagtail_vector_index.backends.base import Metric
from wagtail_vector_index.contract.arrays import Floats32

from .columns import Rows

#: USearch's name of each metric, and the type in which it stores components. Unit vectors lose
#: almost nothing as bytes. Vectors of any length would lose more.
KINDS: dict[Metric, tuple[str, str]] = {
    "cosine": ("cos", "i8"),
    "dot": ("ip", "f32"),
    "euclidean": ("l2sq", "f32"),
}
IntT = TypeVar("IntT", np.int32, np.int64)

_NONE = -1


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The parameters of a graph. A graph can replace another one of the same shape."""

    dimensions: int
    metric: Metric
    connectivity: int
    expansion_add: int


class Graph:
    """Vectors under keys. Each live key stands for a row.

    Every written vector gets a new key. If a row is written again, its old key is dead. Dead keys
    stay in the graph, and searches pass through them. USearch could remove them and reuse their
    places, but then some near vectors would no longer be linked, and a few could not be found.
    """

    def __init__(self, shape: Shape) -> None:
        kind, precision = KINDS[shape.metric]
        self.shape = shape
        self.index = Index(
            ndim=shape.dimensions,
            metric=kind,
            dtype=precision,
            connectivity=shape.connectivity,
            expansion_add=shape.expansion_add,
        )
        self._rows = np.empty(0, np.int32)  # by key
        self._keys = np.empty(0, np.int64)  # by row
        self._next = 0
        self._live = 0

    def __len__(self) -> int:
        return self._live

    @property
    def dead(self) -> int:
        """The number of keys that stand for no row."""
        return len(self.index) - self._live

    @property
    def nbytes(self) -> int:
        """The memory that the graph takes, in bytes."""
        return int(self.index.memory_usage) + self._rows.nbytes + self._keys.nbytes

    def has(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Return a mask: for each row, whether it has a key."""
        self._make_room(rows)
        there: npt.NDArray[np.bool_] = self._keys[rows] != _NONE
        return there

    def keys(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return the key of each row. All rows must have a key."""
        return self._keys[rows]

    def add(self, rows: Rows, vectors: Floats32) -> None:
        """Give a new key to each row, and link the rows. The rows must not have a key."""
        keys = np.arange(self._next, self._next + len(rows))
        # Counted before the call that may fail, so that no key is used twice.
        self._next += len(rows)
        self._rows = _grown(self._rows, self._next)
        self.index.add(keys.astype(np.uint64), vectors)
        self._assign(keys, rows)

    @classmethod
    def restored(cls, shape: Shape, saved: memoryview, keys: npt.NDArray[np.int64]) -> Graph:
        """Return a graph that was saved, with the key that each row had. All others are dead.

        Raises:
            ValueError: it is damaged.
        """
        graph = cls(shape)
        try:
            graph.index.load(saved)
        except RuntimeError as error:
            raise ValueError(f"its graph is damaged: {error}") from error
        graph._next = graph._last_key() + 1
        graph._rows = _grown(graph._rows, graph._next)
        rows = np.flatnonzero(keys != _NONE)
        graph._assign(keys[rows], rows)
        return graph

    def remove(self, rows: Rows) -> None:
        """Remove the keys of rows that have one."""
        keys = self._keys[rows[self.has(rows)]]
        self._keys[rows] = _NONE
        self._rows[keys] = _NONE
        self._live -= len(keys)

    def nearest(self, vector: Floats32, count: int) -> Rows:
        """Return about ``count`` rows that are probably the nearest."""
        if not self._live:
            return np.empty(0, np.intp)
        count = count * len(self.index) // self._live
        found = self.index.search(vector, count, threads=1).keys.astype(np.int64)
        rows = self._rows[found].astype(np.intp)
        linked: Rows = rows[rows != _NONE]
        return linked

    def _assign(self, keys: npt.NDArray[np.int64], rows: Rows) -> None:
        self._make_room(rows)
        self._rows[keys] = rows
        self._keys[rows] = keys
        self._live += len(rows)

    def _last_key(self) -> int:
        keys = np.asarray(self.index.keys, np.int64)
        return int(keys.max(initial=-1))

    def _make_room(self, rows: Rows) -> None:
        self._keys = _grown(self._keys, int(rows.max(initial=-1)) + 1)


def _grown(array: npt.NDArray[IntT], size: int) -> npt.NDArray[IntT]:
    if size <= len(array):
        return array
    larger = np.full(size + size // 8, _NONE, array.dtype)
    larger[: len(array)] = array
    return larger
