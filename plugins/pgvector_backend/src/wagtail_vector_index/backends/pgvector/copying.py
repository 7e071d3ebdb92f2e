"""Record batches in the binary format of COPY."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any

from wagtail_vector_index.collection import CollectionSpec
from wagtail_vector_index.records import RecordBatch

from .columns import COLUMN_TYPES, column_of
from .vectors import encoded, matrix, stored

#: How many rows are sent at a time.
ROWS_OF_A_PART = 500

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_LENGTH = Struct(">i")
_FIRST = Struct(">hi")


def columns(spec: CollectionSpec) -> str:
    """The columns of a table, in the order in which rows are copied."""
    return ", ".join(['"id"', '"embedding"', '"metadata"', *map(column_of, spec.fields)])


def rows_of(spec: CollectionSpec, batch: RecordBatch) -> Iterator[bytes]:
    """The batch as the input of COPY, part by part, in the order of ids.

    All writers lock rows in this order, so that none of them waits for another in a circle.
    While one part is made here, the server stores the one before.
    """
    keys = keys_of(batch)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    head = _FIRST.pack(3 + len(spec.fields), 16)
    vector_size = _LENGTH.pack(4 + 4 * spec.dimensions)
    encoders = [(field, COLUMN_TYPES[type_].encode) for field, type_ in spec.fields.items()]
    yield _SIGNATURE
    for start in range(0, len(order), ROWS_OF_A_PART):
        rows = order[start : start + ROWS_OF_A_PART]
        vectors = encoded(stored(matrix(batch)[rows], spec.metric))
        parts: list[bytes] = []
        for row, vector in zip(rows, vectors, strict=True):
            text = batch.metadata[row]
            data = text.encode()
            parts += (head, keys[row], vector_size, vector, _LENGTH.pack(len(data)), data)
            if encoders:
                _add_values(parts, encoders, text)
        yield b"".join(parts)
    yield _END


def keys_of(batch: RecordBatch) -> list[bytes]:
    """The ids of a batch, each as 16 bytes."""
    data = bytes(batch.ids)
    return [data[start : start + 16] for start in range(0, len(data), 16)]


def _add_values(
    parts: list[bytes], encoders: list[tuple[str, Callable[[Any], bytes]]], text: str
) -> None:
    metadata = json.loads(text)
    for field, encode in encoders:
        value = metadata.get(field)
        if value is None or value == []:
            parts.append(_NULL)
        else:
            data = encode(value)
            parts += (_LENGTH.pack(len(data)), data)
