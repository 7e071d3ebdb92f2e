"""Finds the rows that match a filter. Each field is a column with a code for each different value.

A comparison runs once for each different value, however many rows have it. The results are a
table, which is read by the rows' codes. Core has already checked the filter and parsed it into a
tree of five kinds of node.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import (
    And,
    Comparison,
    FieldType,
    FilterNode,
    IsNull,
    Not,
    Or,
    field_values,
)

Mask: TypeAlias = npt.NDArray[np.bool_]
Rows: TypeAlias = npt.NDArray[np.intp]

_NO_VALUE = 0
_DECODED_TEXTS = 4_096

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda stored, value: bool(stored > value),
    "gte": lambda stored, value: bool(stored >= value),
    "lt": lambda stored, value: bool(stored < value),
    "lte": lambda stored, value: bool(stored <= value),
    "contains": lambda stored, value: value in stored,
}


class Columns:
    """The columns of all fields that filters have named so far.

    Args:
        fields: all fields that a filter may name, with their types.
        texts: the metadata of each row as JSON, in a list that the collection shares.
    """

    def __init__(self, fields: Mapping[str, FieldType], texts: Sequence[str]) -> None:
        self._fields = fields
        self._texts = texts
        self._columns: dict[str, _Column] = {}

    def matching(self, node: FilterNode) -> Mask:
        """Return a mask: for each row, whether it matches. Ignore it for rows without a record."""
        match node:
            case And(children):
                return self._combined(np.logical_and, children, empty=True)
            case Or(children):
                return self._combined(np.logical_or, children, empty=False)
            case Not(child):
                return ~self.matching(child)
            case IsNull(field):
                return self._column(field).is_missing(len(self._texts))
            case Comparison(field):
                return self._column(field).compare(node, len(self._texts))

    def write(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        """Update the columns after the metadata of these rows has changed."""
        if not self._columns:
            return
        values = field_values(texts, self._columns)
        for field, column in self._columns.items():
            column.write(rows, values[field])

    def drop_bloated(self, count: int) -> None:
        """Drop columns with many values that no record has. A filter creates them again."""
        bloated = [field for field, column in self._columns.items() if column.is_bloated(count)]
        for field in bloated:
            del self._columns[field]

    def _combined(self, combine: np.ufunc, children: Sequence[FilterNode], *, empty: bool) -> Mask:
        mask = np.full(len(self._texts), empty)
        for child in children:
            combine(mask, self.matching(child), out=mask)
        return mask

    def _column(self, field: str) -> _Column:
        if (column := self._columns.get(field)) is not None:
            return column
        column = _Column(self._fields[field])
        for start in range(0, len(self._texts), _DECODED_TEXTS):
            values = field_values(self._texts[start : start + _DECODED_TEXTS], [field])[field]
            column.write(range(start, start + len(values)), values)
        self._columns[field] = column
        return column


class _Column:
    """The column of one field: the code of each row, and the value of each code."""

    def __init__(self, type_: FieldType) -> None:
        self._as_key = _AS_KEY.get(type_, _itself)
        self._codes = np.zeros(0, np.int32)
        self._values: list[Any] = [None]
        self._code_of: dict[Hashable, int] = {}

    def is_bloated(self, count: int) -> bool:
        return len(self._values) > 2 * count + 1_000

    def write(self, rows: Sequence[int], values: Sequence[Any]) -> None:
        most = max(rows, default=-1) + 1
        if most > len(self._codes):
            self._codes.resize(most + most // 8, refcheck=False)
        self._codes[rows] = [self._code(value) for value in values]

    def is_missing(self, count: int) -> Mask:
        missing: Mask = self._codes[:count] == _NO_VALUE
        return missing

    def compare(self, node: Comparison, count: int) -> Mask:
        matching = np.zeros(len(self._values), np.bool_)
        matching[self._matching_codes(node)] = True
        mask: Mask = matching[self._codes[:count]]
        return mask

    def _matching_codes(self, node: Comparison) -> list[int]:
        if node.lookup in {"exact", "in"}:
            wanted = node.value if node.lookup == "in" else (node.value,)
            return [code for value in wanted if (code := self._code_of.get(value))]
        compare = _COMPARE[node.lookup]
        return [
            code for code, stored in enumerate(self._values) if code and compare(stored, node.value)
        ]

    def _code(self, value: Any) -> int:
        if value is None:
            return _NO_VALUE
        key = self._as_key(value)
        if (code := self._code_of.get(key)) is None:
            code = self._code_of[key] = len(self._values)
            self._values.append(key)
        return code


def _itself(value: Hashable) -> Hashable:
    return value


_AS_KEY: dict[FieldType, Callable[[Any], Hashable]] = {
    "datetime": datetime.fromisoformat,
    "list[str]": frozenset,
    "list[int]": frozenset,
}
