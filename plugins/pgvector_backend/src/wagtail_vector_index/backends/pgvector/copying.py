"""Writes record batches in the binary format of COPY."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from struct import Struct
from typing import Any

from wagtail_vector_index.contract import CollectionSpec, RecordBatch, field_values
from wagtail_vector_index.contract.arrays import matrix, stored
from wagtail_vector_index.contract.sql import column_of

from .columns import COLUMN_TYPES, ColumnType
from .vectors import encoded

#: How many rows are sent at a time.
ROWS_OF_A_PART = 100

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_LENGTH = Struct(">i")
_FIRST = Struct(">hi")


def columns(spec: CollectionSpec) -> str:
    """Return the columns of a table, in the order in which rows are copied."""
    return ", ".join(['"id"', '"embedding"', '"metadata"', *map(column_of, spec.fields)])


def in_order(batch: RecordBatch) -> list[int]:
    """Return the row numbers of a batch in the order of the ids.

    All writers lock rows in this order. So no two writers can wait for each other.
    """
    keys = keys_of(batch)
    return sorted(range(len(keys)), key=keys.__getitem__)


def rows_of(
    spec: CollectionSpec, batch: RecordBatch, rows: Sequence[int] | None = None
) -> Iterator[bytes]:
    """Yield rows of a batch as the input of one COPY, part by part.

    Without ``rows``, these are all rows in the order of their ids. While this function makes one
    part, the server stores the previous part.
    """
    wanted = in_order(batch) if rows is None else rows
    yield _SIGNATURE
    for start in range(0, len(wanted), ROWS_OF_A_PART):
        yield _part(spec, batch, wanted[start : start + ROWS_OF_A_PART])
    yield _END


def keys_of(batch: RecordBatch) -> list[bytes]:
    """Return the ids of a batch, each as 16 bytes."""
    data = bytes(batch.ids)
    return [data[start : start + 16] for start in range(0, len(data), 16)]


def _part(spec: CollectionSpec, batch: RecordBatch, rows: Sequence[int]) -> bytes:
    head = _FIRST.pack(3 + len(spec.fields), 16)
    vector_size = _LENGTH.pack(4 + 4 * spec.dimensions)
    texts = [batch.metadata[row] for row in rows]
    columns = [
        [head + batch.ids[16 * row : 16 * row + 16] + vector_size for row in rows],
        encoded(stored(matrix(batch)[rows], spec.metric)),
        [_LENGTH.pack(len(data)) + data for data in map(str.encode, texts)],
    ]
    for field, values in field_values(texts, spec.fields).items():
        columns.append(_column(values, COLUMN_TYPES[spec.fields[field]]))
    return b"".join(chain.from_iterable(zip(*columns, strict=True)))


def _column(values: list[Any], type_: ColumnType) -> list[bytes]:
    if type_.index == "gin":  # lists, which cannot be keys of a dict
        return [_value(value, type_) for value in values]
    # Most fields have few different values, such as languages or sections, so each is encoded once.
    distinct = {value: _value(value, type_) for value in set(values)}
    return [distinct[value] for value in values]


def _value(value: Any, type_: ColumnType) -> bytes:
    if value is None:
        return _NULL
    data = type_.encode(value)
    return _LENGTH.pack(len(data)) + data
