"""The columns of filter fields: their values, and what filters compare them with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

from wagtail_vector_index.contract import Comparison, FieldType
from wagtail_vector_index.contract.sql import OPERATORS

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_FLOAT64, _INT64 = Struct(">d"), Struct(">q")


def column_value(type_: FieldType, value: Any) -> Any:
    """Return a field's value as its column holds it; NULL stands for no value."""
    if value is None or value == []:
        return None
    return json.dumps(value) if isinstance(value, list) else _key(type_, value)


def compare(column: str, node: Comparison) -> tuple[str, list[Any]]:
    """Return a comparison in SQL, and its parameter. Many values are one text of JSON."""
    if node.lookup == "in":
        values = json.dumps([_key(node.type, value) for value in node.value])
        return f"{column} IN (SELECT value FROM json_each(?))", [values]
    value = _key(node.type, node.value)
    if node.lookup == "contains":
        return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)", [value]
    return f"{column} {OPERATORS[node.lookup]} ?", [value]


def _key(type_: FieldType, value: Any) -> Any:
    """Return a text or an integer that compares as the value does, in JSON as well."""
    if type_ == "datetime":
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (moment - _EPOCH) // _MICROSECOND
    if type_ == "float":
        # The bits of a double, which no decimal text can round. Those of negative ones descend.
        (bits,) = _INT64.unpack(_FLOAT64.pack(value + 0.0))
        return bits if bits >= 0 else bits ^ 0x7FFF_FFFF_FFFF_FFFF
    return value
