"""The metadata of a collection: JSON texts, and columns of the fields that filters use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, TypeAlias

import numpy.typing as npt

from wagtail_vector_index.contract import FieldType, FilterNode, SnapshotPart, field_values

from .arrays import Mask, Rows
from .columns import Column, new_column
from .filtering import fields_of, matching
from .texts import Texts

_DECODED_TEXTS = 4_096

#: The values of some rows, by field, as the columns hold them.
Encoded: TypeAlias = Mapping[str, npt.NDArray[Any]]


class Metadata:
    """Holds a JSON text for each row, and columns of the fields that filters have named.

    A field gets its column when a filter first names it. So the first load parses no JSON, and
    fields that no filter uses cost nothing.
    """

    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self._fields = fields
        self._texts = Texts()
        self._columns: dict[str, Column] = {}
        self._adding_columns = Lock()

    @property
    def nbytes(self) -> int:
        # A list, because a search may add columns meanwhile.
        columns = sum(column.nbytes for column in list(self._columns.values()))
        return columns + self._texts.nbytes

    def texts(self, rows: Rows) -> list[str]:
        """Return the JSON texts of these rows."""
        return self._texts.at(rows.tolist())

    def saved(self) -> Iterator[tuple[str, SnapshotPart]]:
        """Yield the parts of a snapshot, with a column of each field.

        The processes that read the snapshot need not parse texts for their first filter.
        """
        yield from self._texts.saved()
        with self._adding_columns:
            self._add_columns(self._fields.keys() - self._columns.keys())
        for field, column in self._columns.items():
            for name, part in column.saved():
                yield f"{name} of {field}", part

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        """Take ``count`` rows from the parts of a snapshot."""
        self._texts.restore(count, parts)
        for field, type_ in self._fields.items():
            self._columns[field] = new_column(type_)
            suffix = f" of {field}"
            self._columns[field].restore(
                count,
                {
                    name.removesuffix(suffix): part
                    for name, part in parts.items()
                    if name.endswith(suffix)
                },
            )

    def matching(self, filter: FilterNode) -> Mask:
        """Return a mask: for every row, whether it matches."""
        # Two searches may get here at once. The collection's lock keeps writes out.
        with self._adding_columns:
            self._add_columns(fields_of(filter) - self._columns.keys())
        return matching(filter, self._columns, len(self._texts))

    def encoded(self, texts: Sequence[str]) -> Encoded:
        """Return the values of these texts as the columns hold them. May raise; changes no row."""
        return _encoded(texts, self._columns)

    def append(self, texts: Iterable[str], values: Encoded) -> None:
        """Add rows with these texts, and the values that `encoded` returned for them."""
        self._texts.extend(texts)
        for field, column in self._columns.items():
            column.append(values[field])

    def replace(self, rows: Rows, texts: Iterable[str], values: Encoded) -> None:
        """Replace the texts of these rows, with the values that `encoded` returned for them."""
        self._texts.replace(rows.tolist(), texts)
        for field, column in self._columns.items():
            column.replace(rows, values[field])

    def move(self, sources: Rows, targets: Rows) -> None:
        """Copy the source rows over the target rows."""
        self._texts.move(sources.tolist(), targets.tolist())
        for column in self._columns.values():
            column.move(sources, targets)

    def truncate(self, count: int) -> None:
        """Keep the first ``count`` rows."""
        self._texts.truncate(count)
        for column in self._columns.values():
            column.truncate(count)

    def drop_bloated_columns(self) -> None:
        """Drop columns with many values that no row has any more. A filter creates them again."""
        for field in [field for field, column in self._columns.items() if column.is_bloated()]:
            del self._columns[field]

    def _add_columns(self, fields: Iterable[str]) -> None:
        columns = {field: new_column(self._fields[field]) for field in fields}
        if not columns:
            return
        for start in range(0, len(self._texts), _DECODED_TEXTS):
            rows = range(start, min(start + _DECODED_TEXTS, len(self._texts)))
            part = _encoded(self._texts.at(rows), columns)
            for field, column in columns.items():
                column.append(part[field])
        self._columns |= columns


def _encoded(texts: Sequence[str], columns: Mapping[str, Column]) -> Encoded:
    values = field_values(texts, columns)
    return {field: column.encoded(values[field]) for field, column in columns.items()}
