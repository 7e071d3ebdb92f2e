"""Parts of sequences and of batches that fit into one request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, Self, TypeVar

from .records import RecordBatch

__all__ = ["bounded", "joined", "slices"]


class Sliceable(Protocol):
    """A sequence whose slices are of its own kind, such as a list or a `RecordBatch`."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> Self: ...


SliceableT = TypeVar("SliceableT", bound=Sliceable)


def slices(sequence: SliceableT, size: int) -> Iterator[SliceableT]:
    """Yield consecutive slices of at most ``size`` items; none of an empty sequence.

    Example::

        >>> [*slices("abcde", 2)]
        ['ab', 'cd', 'e']
    """
    for start in range(0, len(sequence), size):
        yield sequence[start : start + size]


def utf8_size(text: str) -> int:
    """Return an upper bound of the bytes that a text has as UTF-8."""
    return len(text) if text.isascii() else 4 * len(text)


def bounded(
    batch: RecordBatch,
    *,
    records: int,
    size: int,
    fixed: int | None = None,
    text_size: Callable[[str], int] = utf8_size,
) -> Iterator[RecordBatch]:
    """Yield consecutive slices of a batch within limits of records and of bytes.

    A record that is larger than the limit of bytes gets a slice of its own. An empty batch
    is yielded as it is.

    Args:
        batch: the records.
        records: the most records of a slice.
        size: the most bytes of a slice.
        fixed: the bytes of each record beside its metadata; by default the bytes of its
            id and of its vector in the batch. A protocol may need more.
        text_size: returns the bytes of a record's metadata.
    """
    fixed = 16 + 4 * batch.dimensions if fixed is None else fixed
    sizes = [fixed + each for each in map(text_size, batch.metadata)]
    if len(sizes) <= records and sum(sizes) <= size:
        yield batch
        return
    start, total = 0, 0
    for row, row_size in enumerate(sizes):
        if row > start and (row - start == records or total + row_size > size):
            yield batch[start:row]
            start, total = row, 0
        total += row_size
    yield batch[start:]


def joined(batches: Sequence[RecordBatch], dimensions: int) -> RecordBatch:
    """Return several batches as one; without any, an empty batch of these dimensions."""
    if len(batches) == 1:
        return batches[0]
    return RecordBatch(
        ids=b"".join(batch.ids for batch in batches),
        vectors=b"".join(batch.vectors for batch in batches),
        metadata=[text for batch in batches for text in batch.metadata],
        dimensions=dimensions,
    )
