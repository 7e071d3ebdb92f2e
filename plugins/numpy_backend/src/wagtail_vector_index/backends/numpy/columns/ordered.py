"""Columns of values with an order: numbers and points in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import Lookup

from ..arrays import Mask
from .base import Column

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class NumberColumn(Column):
    """Holds numbers as float64, which is exact for all filterable integers (below 2^53).

    NaN stands for no value, because no comparison matches it.
    """

    dtype = "f8"

    def _lookups(self) -> Mapping[Lookup, Callable[[Any], Mask]]:
        return {
            "exact": self._comparing(np.equal),
            "gt": self._comparing(np.greater),
            "gte": self._comparing(np.greater_equal),
            "lt": self._comparing(np.less),
            "lte": self._comparing(np.less_equal),
            "in": self._in,
        }

    def is_missing(self) -> Mask:
        missing: Mask = np.isnan(self.values)
        return missing

    def _comparing(self, compare: Callable[[Any, Any], Any]) -> Callable[[Any], Mask]:
        def lookup(value: Any) -> Mask:
            mask: Mask = compare(self.values, self.encoded([value])[0])
            return mask

        return lookup

    def _in(self, values: Sequence[Any]) -> Mask:
        if not values:
            return np.zeros(len(self.values), np.bool_)
        wanted = np.sort(self.encoded(values))
        nearest = wanted.take(np.searchsorted(wanted, self.values), mode="clip")
        mask: Mask = nearest == self.values
        return mask

    def encoded(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        # None becomes NaN.
        return np.array(values, np.float64)


class DatetimeColumn(NumberColumn):
    """Holds points in time, in microseconds. NaT, which nothing matches, is no value."""

    dtype = "M8[us]"

    def encoded(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        return np.array([_microseconds(value) for value in values], np.int64).view(self.dtype)


def _microseconds(value: str | datetime | None) -> int:
    """Return the microseconds since 1970, or the lowest int64, which is NaT, for None."""
    if value is None:
        return -(2**63)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (moment - _EPOCH) // _MICROSECOND
