"""Columns of values without an order. Each different value has a number, its code."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import Lookup, SnapshotPart

from ..arrays import Mask, saved
from .base import Column

_NO_VALUE = 0


class CodedColumn(Column):
    """Holds texts or bools as codes. A lookup marks codes in a table and reads it by row."""

    dtype = "i4"

    def __init__(self) -> None:
        super().__init__()
        #: The different values, in the order of their codes, as JSON in a snapshot.
        self._saved_values: memoryview[Any] | None = None

    def _lookups(self) -> Mapping[Lookup, Callable[[Any], Mask]]:
        return {"exact": self._exact, "in": self._in}

    def saved(self) -> Iterator[tuple[str, SnapshotPart]]:
        # Values that no row has any more are left out, since they may have been deleted on purpose.
        used = np.union1d([_NO_VALUE], self.values)
        yield "values", saved(np.searchsorted(used, self.values).astype(self.dtype))
        values = list(self._codes)
        texts = json.dumps([self._to_json(values[code]) for code in used.tolist()])
        yield "codes", SnapshotPart(data=[texts.encode()])

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        super().restore(count, parts)
        self._saved_values = parts["codes"].buffer

    @cached_property
    def _codes(self) -> dict[Hashable, int]:
        # Read from a snapshot at first use, since most processes use few columns.
        values = [None] if self._saved_values is None else json.loads(bytes(self._saved_values))
        return {self._from_json(value): code for code, value in enumerate(values)}

    def _to_json(self, value: Any) -> Any:
        return value

    def _from_json(self, value: Any) -> Hashable:
        return value  # type: ignore[no-any-return]

    def is_bloated(self) -> bool:
        return len(self._codes) > 2 * self._count + 1_000

    def is_missing(self) -> Mask:
        return self._with_code(_NO_VALUE)

    def _exact(self, value: Hashable) -> Mask:
        return self._with_code(self._codes.get(value))

    def _in(self, values: Iterable[Hashable]) -> Mask:
        codes = map(self._codes.get, values)
        return self._with_codes(np.array([code for code in codes if code], np.intp))

    def _with_code(self, code: int | None) -> Mask:
        if code is None:
            return np.zeros(self._count, np.bool_)
        mask: Mask = self.values == code
        return mask

    def _with_codes(self, codes: npt.NDArray[Any]) -> Mask:
        wanted = np.zeros(len(self._codes), np.bool_)
        wanted[codes] = True
        mask: Mask = wanted[self.values]
        return mask

    def encoded(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        return np.array([self._code(value) for value in values], np.int32)

    def _code(self, value: Any) -> int:
        return self._codes.setdefault(value, len(self._codes))


class ListColumn(CodedColumn):
    """Holds lists as codes of the different lists, and the codes of all lists with an element.

    The list of a code never changes, so a change of a record changes only the record's code.
    """

    def _lookups(self) -> Mapping[Lookup, Callable[[Any], Mask]]:
        return {"contains": self._contains}

    @cached_property
    def _holders(self) -> dict[Hashable, array[int]]:
        holders: dict[Hashable, array[int]] = {}
        for elements, code in self._codes.items():
            _hold(holders, elements, code)
        return holders

    def _to_json(self, value: Any) -> Any:
        return value and list(value)

    def _from_json(self, value: Any) -> Hashable:
        return value and frozenset(value)

    def _contains(self, element: Hashable) -> Mask:
        return self._with_codes(np.array(self._holders.get(element, ()), np.intp))

    def _code(self, value: list[Any] | None) -> int:
        elements = frozenset(value) if value else None
        if (code := self._codes.get(elements)) is not None:
            return code
        holders = self._holders  # made of the codes before this one
        code = super()._code(elements)
        _hold(holders, elements, code)
        return code


def _hold(holders: dict[Hashable, array[int]], elements: Any, code: int) -> None:
    for element in elements or ():
        holders.setdefault(element, array("i")).append(code)
