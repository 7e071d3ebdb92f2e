"""Metadata fields as arrays, so that a filter compares all rows at once."""

from __future__ import annotations

from wagtail_vector_index.contract import FieldType

from .base import Column
from .coded import CodedColumn, ListColumn
from .ordered import DatetimeColumn, NumberColumn

__all__ = ["Column", "new_column"]

_COLUMNS: dict[FieldType, type[Column]] = {
    "str": CodedColumn,
    "bool": CodedColumn,
    "int": NumberColumn,
    "float": NumberColumn,
    "datetime": DatetimeColumn,
    "list[str]": ListColumn,
    "list[int]": ListColumn,
}


def new_column(type_: FieldType) -> Column:
    """Return an empty column for a field of this type."""
    return _COLUMNS[type_]()
