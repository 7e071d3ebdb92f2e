"""Array types and functions that the parts of a collection share."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import SnapshotPart

Floats32: TypeAlias = npt.NDArray[np.float32]
Floats64: TypeAlias = npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Rows: TypeAlias = npt.NDArray[np.intp]
Mask: TypeAlias = npt.NDArray[np.bool_]

ScalarT = TypeVar("ScalarT", bound=np.generic)

_SMALLEST = 64
# A restored array can grow by a sixteenth, and by so many rows, before it is copied.
_ROOM = 1_024


def grown(array: npt.NDArray[ScalarT], size: int) -> npt.NDArray[ScalarT]:
    """Return the array, or a copy half as large again, with room for ``size`` rows."""
    if size <= len(array):
        return array
    length = max(size, len(array) * 3 // 2, _SMALLEST)
    larger = np.empty((length, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def rows_with_room(count: int) -> int:
    """Return the number of rows that a snapshot has room for, if it holds ``count`` rows."""
    return count + count // 16 + _ROOM


def saved(array: npt.NDArray[Any]) -> SnapshotPart:
    """Return an array as a part of a snapshot, with room for some more rows."""
    room = rows_with_room(len(array)) * array.itemsize * array[:1].size
    return SnapshotPart(data=[_bytes(array)], room=room)


def restored(
    part: SnapshotPart, dtype: npt.DTypeLike, columns: int | None = None
) -> npt.NDArray[Any]:
    """Return the array in a part of a snapshot with all its room, not copied.

    Args:
        part: the part.
        dtype: the type of the numbers.
        columns: the numbers in a row, if the array has two dimensions.
    """
    array = np.frombuffer(part.buffer, dtype)
    return array if columns is None else array.reshape(-1, columns)


def _bytes(array: npt.NDArray[Any]) -> memoryview[Any]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def row_products(rows: npt.NDArray[ScalarT], others: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
    """Return the inner product of each row with a vector, or with a second matrix's same row.

    Each product is computed separately, so equal rows give equal numbers at any position. A
    product of matrix and vector does not guarantee this: its last bit may differ.
    """
    products: npt.NDArray[ScalarT] = np.vecdot(rows, others)
    return products
