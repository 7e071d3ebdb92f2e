"""Columns of values without an order. Each different value has a number, its code."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import Lookup, SnapshotPart

from ..arrays import Mask, restored, saved
from .base import Column
from .values import SavedValues, Values, json_text, saved_values, starts

_NO_VALUE = 0


class CodedColumn(Column):
    """Holds texts or bools as codes. A lookup marks codes in a table and reads it by row."""

    dtype = "i4"

    def __init__(self) -> None:
        super().__init__()
        self._codes = Values()

    def _lookups(self) -> Mapping[Lookup, Callable[[Any], Mask]]:
        return {"exact": self._exact, "in": self._in}

    def saved(self) -> Iterator[tuple[str, SnapshotPart]]:
        # Values that no row has any more are left out, since they may have been deleted on purpose.
        used = np.setdiff1d(self.values, [_NO_VALUE])
        texts = self._codes.texts(used.tolist())
        order, parts = saved_values("codes", texts)
        yield from parts
        codes = np.zeros(len(self._codes), self.dtype)
        codes[used[order]] = np.arange(1, len(used) + 1)
        yield "values", saved(codes[self.values])
        yield from self._saved_holders([texts[index] for index in order.tolist()])

    def _saved_holders(self, texts: Sequence[bytes]) -> Iterator[tuple[str, SnapshotPart]]:
        """Yield more parts of a snapshot, which are made of the values from code 1 on."""
        yield from ()

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        super().restore(count, parts)
        self._codes = Values(SavedValues("codes", parts))

    def is_bloated(self) -> bool:
        return len(self._codes) > 2 * self._count + 1_000

    def is_missing(self) -> Mask:
        return self._with_code(_NO_VALUE)

    def _exact(self, value: Hashable) -> Mask:
        return self._with_code(self._codes.find(value))

    def _in(self, values: Iterable[Hashable]) -> Mask:
        codes = map(self._codes.find, values)
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
        return np.array(self._codes.add(values), np.int32)


class ListColumn(CodedColumn):
    """Holds lists as codes of the different lists, and the codes of all lists with an element.

    The list of a code never changes, so a change of a record changes only the record's code.
    """

    def __init__(self) -> None:
        super().__init__()
        #: The elements of the lists in a snapshot, and the codes of the lists with each element:
        #: one array, with the place where each element's codes begin.
        self._elements = SavedValues()
        self._saved_codes: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._starts: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        #: The codes of the lists that were added since, by element.
        self._holders: dict[Hashable, array[int]] = {}

    def _lookups(self) -> Mapping[Lookup, Callable[[Any], Mask]]:
        return {"contains": self._contains}

    def _saved_holders(self, texts: Sequence[bytes]) -> Iterator[tuple[str, SnapshotPart]]:
        holders: dict[Hashable, array[int]] = {}
        for code, elements in enumerate(json.loads(b"[" + b",".join(texts) + b"]"), 1):
            _hold(holders, elements, code)
        order, parts = saved_values("elements", list(map(json_text, holders)))
        yield from parts
        codes = list(holders.values())
        codes = [codes[index] for index in order.tolist()]
        yield "holders", SnapshotPart(data=codes)
        yield "holders, starts", SnapshotPart(data=[starts(list(map(len, codes))).data])

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        super().restore(count, parts)
        self._elements = SavedValues("elements", parts)
        self._saved_codes = restored(parts["holders"], np.int32)
        self._starts = restored(parts["holders, starts"], np.int64)

    def _contains(self, element: Hashable) -> Mask:
        codes = np.array(self._holders.get(element, ()), np.intp)
        if (number := self._elements.find(json_text(element))) is not None:
            start, stop = self._starts[number : number + 2].tolist()
            codes = np.concatenate([codes, self._saved_codes[start:stop]])
        return self._with_codes(codes)

    def encoded(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        known = len(self._codes)
        sets = [frozenset(value) if value else None for value in values]
        codes = self._codes.add(sets)
        for elements, code in dict(zip(sets, codes, strict=True)).items():
            if elements and code >= known:
                _hold(self._holders, elements, code)
        return np.array(codes, np.int32)


def _hold(holders: dict[Hashable, array[int]], elements: Iterable[Hashable], code: int) -> None:
    for element in elements:
        holders.setdefault(element, array("i")).append(code)
