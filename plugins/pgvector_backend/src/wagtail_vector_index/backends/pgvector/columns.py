"""The columns of filter fields: their types, indexes and values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

from wagtail_vector_index.contract import FieldType

#: The most characters of an indexed text. Index entries have at most 2,704 bytes, and a character
#: has at most four.
LONGEST_TEXT = 500

_INT64 = Struct(">q")
_FLOAT64 = Struct(">d")
_LENGTH = Struct(">i")
_ARRAY = Struct(">iiIii")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class ColumnType:
    """The column of a field.

    Args:
        sql: the column's type in its definition.
        cast: the type of the values to compare with.
        index: the access method of the column's index.
        encode: returns a value in PostgreSQL's binary format.
        compared: returns a filter's value in the form to compare with.
    """

    sql: str
    cast: str
    index: str
    encode: Callable[[Any], bytes]
    compared: Callable[[Any], Any] = lambda value: value


def text_key(text: str) -> str:
    """Return the column's value for a text: the text, or a long text's beginning and hash.

    Filters only test whether texts are equal, and long texts are too big for an index. The value
    for a long text is longer than any short text, so the two are never equal.
    """
    if len(text) <= LONGEST_TEXT:
        return text
    return text[:LONGEST_TEXT] + hashlib.sha256(text.encode()).hexdigest()


def _encode_text(value: str) -> bytes:
    return text_key(value).encode()


def _encode_datetime(value: str) -> bytes:
    moment = datetime.fromisoformat(value).astimezone(UTC)
    return _INT64.pack((moment - _EPOCH) // _MICROSECOND)


def _array_encoder(oid: int, encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def encode_array(values: Any) -> bytes:
        elements = [encode(value) for value in values]
        parts = [_ARRAY.pack(1, 0, oid, len(elements), 1)]
        for element in elements:
            parts += (_LENGTH.pack(len(element)), element)
        return b"".join(parts)

    return encode_array


COLUMN_TYPES: dict[FieldType, ColumnType] = {
    "str": ColumnType(
        sql='text COLLATE "C"',
        cast="text",
        index="btree",
        encode=_encode_text,
        compared=text_key,
    ),
    "int": ColumnType(sql="bigint", cast="bigint", index="btree", encode=_INT64.pack),
    "float": ColumnType(
        sql="double precision", cast="double precision", index="btree", encode=_FLOAT64.pack
    ),
    "bool": ColumnType(
        sql="boolean", cast="boolean", index="btree", encode=lambda value: bytes([value])
    ),
    "datetime": ColumnType(
        sql="timestamptz", cast="timestamptz", index="btree", encode=_encode_datetime
    ),
    "list[str]": ColumnType(
        sql='text[] COLLATE "C"',
        cast="text",
        index="gin",
        encode=_array_encoder(25, _encode_text),
        compared=text_key,
    ),
    "list[int]": ColumnType(
        sql="bigint[]", cast="bigint", index="gin", encode=_array_encoder(20, _INT64.pack)
    ),
}
