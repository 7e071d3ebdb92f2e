"""What every column can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import Lookup

from ..arrays import Mask, Rows, grown


class Column(ABC):
    """The values of one field, row by row, in one array.

    A lookup gives a mask: for every row, whether it matches. A row without a value
    (missing, null or ``[]``) matches none.
    """

    #: Of the array that holds the values.
    dtype: ClassVar[str]

    def __init__(self) -> None:
        self._count = 0
        self._array: npt.NDArray[Any] = np.empty(0, self.dtype)
        self._lookups: dict[Lookup, Callable[[Any], Mask]] = {}

    @property
    def values(self) -> npt.NDArray[Any]:
        """One value a row."""
        return self._array[: self._count]

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    def is_bloated(self) -> bool:
        """Whether it remembers many more values than it has rows, and should be dropped."""
        return False

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add rows with these values, encoded."""
        start, self._count = self._count, self._count + len(values)
        self._array = grown(self._array, self._count)
        self._array[start : self._count] = values

    def replace(self, rows: Rows, values: npt.NDArray[Any]) -> None:
        """Write other values, encoded, into these rows."""
        self._array[rows] = values

    def move(self, sources: Rows, targets: Rows) -> None:
        """Copy the values of the source rows over those of the target rows."""
        self._array[targets] = self._array[sources]

    def truncate(self, count: int) -> None:
        """Keep the first ``count`` rows."""
        self._count = count

    def compare(self, lookup: Lookup, value: Any) -> Mask:
        """Which rows match a lookup that the field's type knows."""
        return self._lookups[lookup](value)

    @abstractmethod
    def is_missing(self) -> Mask:
        """Which rows have no value."""

    @abstractmethod
    def encoded(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        """Values, as JSON or a filter has them, as the array holds them."""
