"""Array types and functions that the parts of a collection share."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Floats32: TypeAlias = npt.NDArray[np.float32]
Floats64: TypeAlias = npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Rows: TypeAlias = npt.NDArray[np.intp]
Mask: TypeAlias = npt.NDArray[np.bool_]

ScalarT = TypeVar("ScalarT", bound=np.generic)

_SMALLEST = 64


def grown(array: npt.NDArray[ScalarT], size: int) -> npt.NDArray[ScalarT]:
    """Return the array, or a copy half as large again, with room for ``size`` rows."""
    if size <= len(array):
        return array
    length = max(size, len(array) * 3 // 2, _SMALLEST)
    larger = np.empty((length, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def row_products(rows: npt.NDArray[ScalarT], others: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
    """Return the inner product of each row with a vector, or with a second matrix's same row.

    Each product is computed separately, so equal rows give equal numbers at any position. A
    product of matrix and vector does not guarantee this: its last bit may differ.
    """
    products: npt.NDArray[ScalarT] = np.vecdot(rows, others)
    return products
