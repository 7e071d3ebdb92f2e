"""Record batches in the binary format of COPY."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from struct import Struct

from wagtail_vector_index.collection import CollectionSpec
from wagtail_vector_index.records import RecordBatch

from .columns import COLUMN_TYPES, column_of
from .vectors import encoded, matrix, stored

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_LENGTH = Struct(">i")
_FIRST = Struct(">hi")


def columns(spec: CollectionSpec) -> str:
    """The columns of a table, in the order in which rows are copied."""
    return ", ".join(['"id"', '"embedding"', '"metadata"', *map(column_of, spec.fields)])


def rows_of(spec: CollectionSpec, batch: RecordBatch) -> bytes:
    """The batch as the input of COPY, in the order of ids.

    All writers lock rows in this order, so that none of them waits for another in a circle.
    """
    keys = _keys(batch)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    vectors = encoded(stored(matrix(batch), spec.metric)[order])
    head = _FIRST.pack(3 + len(spec.fields), 16)
    vector_size = _LENGTH.pack(4 + 4 * spec.dimensions)
    parts = [_SIGNATURE]
    for vector, row in zip(vectors, order, strict=True):
        text = batch.metadata[row]
        encoded_text = text.encode()
        parts += (head, keys[row], vector_size, vector, _LENGTH.pack(len(encoded_text)))
        parts.append(encoded_text)
        if spec.fields:
            parts += _values(spec, text)
    parts.append(_END)
    return b"".join(parts)


def _keys(batch: RecordBatch) -> Sequence[bytes]:
    data = bytes(batch.ids)
    return [data[start : start + 16] for start in range(0, len(data), 16)]


def _values(spec: CollectionSpec, text: str) -> Iterator[bytes]:
    metadata = json.loads(text)
    for field, type_ in spec.fields.items():
        value = metadata.get(field)
        if value is None or value == []:
            yield _NULL
        else:
            data = COLUMN_TYPES[type_].encode(value)
            yield _LENGTH.pack(len(data))
            yield data
