"""Stores the vectors of a collection in blocks, so that growth copies almost nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wagtail_vector_index.contract import SnapshotPart

from .arrays import Floats32, Rows, restored, rows_with_room

_FIRST_ROWS = 256
_COPIED_ROWS = 8_192
# The most numbers in a block: 200 MB.
_BLOCK_NUMBERS = 50_331_648
_GATHERED_ROWS = 256
# One thread multiplies this many numbers (about 30,000 rows) in one or two milliseconds. BLAS with
# more threads is faster on idle cores. If other processes use the cores, BLAS takes ten
# milliseconds or more, because it waits for the slowest of its threads.
_ONE_THREAD = 12_000_000


class Matrix:
    """Rows of float32 in blocks of ``block_rows``.

    The first block grows by copying while it is small. Larger blocks are allocated whole, and
    take memory as they are filled. The number of blocks is small, because the product with
    each block has to wait for the slowest thread.
    """

    block_rows = 131_072

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        # Some systems do not allow the allocation of memory that may never be used.
        self.block_rows = min(self.block_rows, max(_COPIED_ROWS, _BLOCK_NUMBERS // dimensions))
        self._blocks: list[Floats32] = []

    def bytes_of(self, count: int) -> int:
        """Return the bytes that ``count`` rows take. Unused room takes no memory."""
        return 4 * self._dimensions * count

    def saved(self, count: int) -> SnapshotPart:
        """Return the first ``count`` rows as a part of a snapshot, with room for some more rows."""
        parts = [part for _, part in self.stretches(0, count, self.block_rows)]
        return SnapshotPart(
            data=[part.reshape(-1).view(np.uint8).data for part in parts],
            room=self.bytes_of(min(rows_with_room(count), len(parts) * self.block_rows)),
        )

    def restore(self, part: SnapshotPart) -> None:
        """Take all blocks from a part of a snapshot."""
        rows = restored(part, np.float32, self._dimensions)
        starts = range(0, len(rows), self.block_rows)
        self._blocks = [rows[start : start + self.block_rows] for start in starts]

    def resize(self, count: int) -> None:
        """Make room for ``count`` rows, and free blocks far beyond them."""
        needed = -(-count // self.block_rows)
        del self._blocks[needed + 1 if needed else 0 :]
        if not needed:
            return
        if not self._blocks or len(self._blocks[0]) < min(count, self.block_rows):
            self._grow_first(count)
        # Only the last block can be short, if it comes from a snapshot.
        last = min(len(self._blocks), needed) - 1
        if last and len(self._blocks[last]) < min(count - last * self.block_rows, self.block_rows):
            self._blocks[last] = self._enlarged(last, self.block_rows)
        while len(self._blocks) < needed:
            self._blocks.append(self._new_block(self.block_rows))

    def write(self, rows: Rows, vectors: Floats32) -> None:
        """Write one vector into each of these rows. `resize` must have made room."""
        for block, chosen, local in self._split(rows):
            block[local] = vectors[chosen]

    def append(self, start: int, vectors: Floats32) -> None:
        """Write vectors into the rows from ``start``. `resize` must have made room."""
        done = 0
        while done < len(vectors):
            block, row = divmod(start + done, self.block_rows)
            part = vectors[done : done + self.block_rows - row]
            self._blocks[block][row : row + len(part)] = part
            done += len(part)

    def take(self, rows: Rows) -> Floats32:
        """Return a copy of these rows."""
        taken = np.empty((len(rows), self._dimensions), np.float32)
        for block, chosen, local in self._split(rows):
            taken[chosen] = block[local]
        return taken

    def stretches(self, start: int, stop: int, most: int) -> Iterator[tuple[slice, Floats32]]:
        """Yield the rows from ``start`` to ``stop``, at most ``most`` at a time, not copied."""
        while start < stop:
            block, row = divmod(start, self.block_rows)
            part = self._blocks[block][row : row + min(most, stop - start)]
            yield slice(start, start + len(part)), part
            start += len(part)

    def products(self, vector: Floats32, count: int) -> Floats32:
        """Return the inner products of a vector with the first ``count`` rows."""
        result = np.empty(count, np.float32)
        multiply = np.vecdot if count * self._dimensions <= _ONE_THREAD else np.dot
        for index, start in enumerate(range(0, count, self.block_rows)):
            part = result[start : start + self.block_rows]
            multiply(self._blocks[index][: len(part)], vector, out=part)
        return result

    def products_of(self, rows: Rows, vector: Floats32) -> Floats32:
        """Return the inner products of a vector with these rows, which must be in order.

        Few rows are gathered at a time, so that they stay in the processor's cache.
        """
        result = np.empty(len(rows), np.float32)
        gathered = np.empty((_GATHERED_ROWS, self._dimensions), np.float32)
        for block, first, last in self._runs(rows):
            offset = rows[first] - rows[first] % self.block_rows
            for start in range(first, last, _GATHERED_ROWS):
                stop = min(start + _GATHERED_ROWS, last)
                part = gathered[: stop - start]
                # Without this mode, `take` into an array uses an extra buffer.
                np.take(block, rows[start:stop] - offset, axis=0, out=part, mode="clip")
                np.dot(part, vector, out=result[start:stop])
        return result

    def _runs(self, rows: Rows) -> Iterator[tuple[Floats32, int, int]]:
        """Yield each block with the bounds of the positions in ``rows`` that belong to it."""
        borders = np.arange(len(self._blocks) + 1) * self.block_rows
        positions = np.searchsorted(rows, borders).tolist()
        for block, first, last in zip(self._blocks, positions, positions[1:], strict=False):
            if first < last:
                yield block, first, last

    def _split(self, rows: Rows) -> Iterator[tuple[Floats32, Rows | slice, Rows]]:
        """Yield each block with its positions in ``rows``, and the rows within the block."""
        if len(self._blocks) == 1:
            yield self._blocks[0], slice(None), rows
            return
        numbers, local = np.divmod(rows, self.block_rows)
        for number in np.unique(numbers).tolist():
            chosen = np.flatnonzero(numbers == number)
            yield self._blocks[number], chosen, local[chosen]

    def _grow_first(self, count: int) -> None:
        rows = self.block_rows
        while count <= _COPIED_ROWS and rows // 2 >= max(count, _FIRST_ROWS):
            rows //= 2
        self._blocks[:1] = [self._enlarged(0, rows)]

    def _enlarged(self, number: int, rows: int) -> Floats32:
        """Return a larger block with the rows of a block, if that exists."""
        larger = self._new_block(rows)
        for block in self._blocks[number : number + 1]:
            larger[: len(block)] = block
        return larger

    def _new_block(self, rows: int) -> Floats32:
        return np.empty((rows, self._dimensions), np.float32)
