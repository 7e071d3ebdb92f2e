"""The base class of columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import Lookup, SnapshotPart

from ..arrays import Mask, Rows, grown, restored, saved


class Column(ABC):
    """The values of one field, row by row, in one array.

    A lookup returns a mask with one bool for each row: whether the row matches. A row without
    a value (missing, null or ``[]``) matches no lookup.
    """

    #: The dtype of the array that holds the values.
    dtype: ClassVar[str]

    def __init__(self) -> None:
        self._count = 0
        self._array: npt.NDArray[Any] = np.empty(0, self.dtype)

    @property
    def values(self) -> npt.NDArray[Any]:
        """The values, one for each row."""
        return self._array[: self._count]

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    def saved(self) -> Iterator[tuple[str, SnapshotPart]]:
        """Yield the parts of a snapshot."""
        yield "values", saved(self.values)

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        """Take ``count`` rows from the parts of a snapshot."""
        self._array, self._count = restored(parts["values"], self.dtype), count

    def is_bloated(self) -> bool:
        """Return whether the column stores many more values than rows, and should be dropped."""
        return False

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add rows with these encoded values."""
        start, self._count = self._count, self._count + len(values)
        self._array = grown(self._array, self._count)
        self._array[start : self._count] = values

    def replace(self, rows: Rows, values: npt.NDArray[Any]) -> None:
        """Replace the values of these rows with encoded values."""
        self._array[rows] = values

    def move(self, sources: Rows, targets: Rows) -> None:
        """Copy the values of the source rows to the target rows."""
        self._array[targets] = self._array[sources]

    def truncate(self, count: int) -> None:
        """Keep the first ``count`` rows."""
        self._count = count

    def compare(self, lookup: Lookup, value: Any) -> Mask:
        """Return a mask of the rows that match a lookup that the field's type supports."""
        return self._lookups()[lookup](value)

    @abstractmethod
    def _lookups(self) -> Mapping[Lookup, Callable[[Any], Mask]]:
        """Return the methods of all lookups. They are not stored, so that no cycle keeps a file."""

    @abstractmethod
    def is_missing(self) -> Mask:
        """Return a mask of the rows without a value."""

    @abstractmethod
    def encoded(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        """Return values from JSON or a filter in the form in which the array holds them."""
