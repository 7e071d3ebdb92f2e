"""Columns of values without an order. Each different value has a number, its code."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import Mask
from .base import Column

_NO_VALUE = 0


class CodedColumn(Column):
    """Holds texts or bools as codes. A lookup marks codes in a table and reads it by row."""

    dtype = "i4"

    def __init__(self) -> None:
        super().__init__()
        self._codes: dict[Hashable, int] = {None: _NO_VALUE}
        self._lookups = {"exact": self._exact, "in": self._in}

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

    def __init__(self) -> None:
        super().__init__()
        self._holders: dict[Hashable, array[int]] = {}
        self._lookups = {"contains": self._contains}

    def _contains(self, element: Hashable) -> Mask:
        return self._with_codes(np.array(self._holders.get(element, ()), np.intp))

    def _code(self, value: list[Any] | None) -> int:
        elements = frozenset(value) if value else None
        if (code := self._codes.get(elements)) is not None:
            return code
        code = super()._code(elements)
        for element in elements or ():
            self._holders.setdefault(element, array("i")).append(code)
        return code
