"""Maps ids to rows and rows to ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import SnapshotPart

from .arrays import Rows, grown, restored, saved

#: n ids of 16 bytes, as n × 2 words. The byte order of the words does not matter.
Keys: TypeAlias = npt.NDArray[np.uint64]

_EMPTY, _DELETED = -1, -2
_FEWEST_SLOTS = 64
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Ids:
    """The id of each row, and the row of each id.

    A hash table of row numbers with open addressing and linear probing (Knuth, The Art of
    Computer Programming 6.4, algorithm L). It looks up a whole batch at a time. An id takes
    about 30 bytes; in a dict of bytes to int, it takes 150.
    """

    def __init__(self) -> None:
        self._count = 0
        self._keys: Keys = np.empty((0, 2), np.uint64)
        self._slots = np.full(_FEWEST_SLOTS, _EMPTY, np.int32)
        self._filled = 0  # the number of slots that are not empty; deleted slots count as filled

    def __len__(self) -> int:
        return self._count

    def saved(self) -> Iterator[tuple[str, SnapshotPart]]:
        """Yield the parts of a snapshot."""
        yield "ids", saved(self._keys[: self._count])
        yield "slots", SnapshotPart(data=[self._slots.data])

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        """Take ``count`` ids from the parts of a snapshot."""
        self._keys = restored(parts["ids"], np.uint64, 2)
        self._slots = restored(parts["slots"], np.int32)
        self._filled = int(np.count_nonzero(self._slots != _EMPTY))
        self._count = count

    @property
    def nbytes(self) -> int:
        return self._keys.nbytes + self._slots.nbytes

    def keys(self, rows: Rows | slice) -> Keys:
        """Return the ids of these rows."""
        return self._keys[: self._count][rows]

    def rank(self, rows: Rows) -> Rows:
        """Return the position of each of these rows in the order of their ids."""
        words = self.keys(rows).view(">u8")
        order = np.lexsort((words[:, 1], words[:, 0]))
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(rows))
        return ranks

    def find(self, keys: Keys) -> Rows:
        """Return the row of each id, or -1 for an unknown id."""
        slots = self._locate(keys)
        return np.where(slots < 0, -1, self._slots[slots])

    def reserve(self, count: int) -> None:
        """Make room for ``count`` more ids."""
        self._keys = grown(self._keys, self._count + count)
        if 2 * (self._filled + count) > len(self._slots):
            live = self._count + count
            self._slots = np.full(max(_FEWEST_SLOTS, _power_of_two(3 * live)), _EMPTY, np.int32)
            self._filled = 0
            self._insert(np.arange(self._count))

    def append(self, keys: Keys) -> None:
        """Give the next rows to new ids. `reserve` must have made room for them."""
        start = self._count
        self._count += len(keys)
        self._keys[start : self._count] = keys
        self._insert(np.arange(start, self._count))

    def remove(self, rows: Rows) -> None:
        """Forget the ids of these rows. `move` must fill the rows afterwards."""
        self._slots[self._locate(self._keys[rows])] = _DELETED

    def move(self, sources: Rows, targets: Rows) -> None:
        """Give each target row the id of its source row."""
        keys = self._keys[sources]
        self._slots[self._locate(keys)] = targets
        self._keys[targets] = keys

    def truncate(self, count: int) -> None:
        """Keep the first ``count`` rows. The ids of all others must be removed or moved before."""
        self._count = count

    def _insert(self, rows: Rows) -> None:
        self._filled += len(rows)
        slots = self._first_slots(self._keys[rows])
        while len(rows):
            free = self._slots[slots] < 0
            self._slots[slots[free]] = rows[free]
            # If several rows wanted the same slot, the last one got it.
            waiting = self._slots[slots] != rows
            rows, slots = rows[waiting], self._next(slots[waiting])

    def _locate(self, keys: Keys) -> Rows:
        """Return the slot of each id, or -1 for an unknown id."""
        located = np.full(len(keys), -1, np.intp)
        asked, slots = np.arange(len(keys)), self._first_slots(keys)
        while len(asked):
            rows = self._slots[slots]
            same = (self._keys[rows] == keys[asked]).all(axis=1) if self._count else rows >= 0
            found = same & (rows >= 0)
            located[asked[found]] = slots[found]
            going_on = ~found & (rows != _EMPTY)
            asked, slots = asked[going_on], self._next(slots[going_on])
        return located

    def _next(self, slots: Rows) -> Rows:
        return (slots + 1) & (len(self._slots) - 1)

    def _first_slots(self, keys: Keys) -> Rows:
        """Return the first slot to try: the finaliser of SplitMix64 (Steele and others, 2014)."""
        hashes = keys[:, 0] * _ODD + keys[:, 1]
        hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashes ^= hashes >> np.uint64(31)
        return (hashes & np.uint64(len(self._slots) - 1)).astype(np.intp)


def keys_of(ids: bytes | memoryview) -> Keys:
    """Return 16·n bytes as n ids, without a copy."""
    return np.frombuffer(ids, np.uint64).reshape(-1, 2)


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
