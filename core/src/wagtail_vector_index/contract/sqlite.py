"""The fields of records in SQLite: the values of their columns, and comparisons with these.

SQLite has no type for datetimes and none for lists, and its JSON rounds floats. So a column holds
a datetime or a float as an integer, which is in the same order, and a list as a text of JSON.
Declare the columns without types: then SQLite converts no value.

Example::

    rows = zip(ids, column_values(spec, batch), batch.metadata)
    condition, parameters = where(filter, compare)
    cursor.execute(f"SELECT count(*) FROM blog WHERE {condition}", parameters)
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

from .filters import Comparison, FieldType
from .records import RecordBatch, field_values
from .spec import CollectionSpec
from .sql import OPERATORS

__all__ = ["column_values", "compare"]

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_FLOAT64, _INT64 = Struct(">d"), Struct(">q")


def column_values(spec: CollectionSpec, batch: RecordBatch) -> list[tuple[Any, ...]]:
    """Return the values of each record in the order of the fields; None stands for no value."""
    if not spec.fields:
        return [()] * len(batch)
    values = field_values(batch.metadata, spec.fields)
    columns = [
        [_stored(type_, value) for value in values[name]] for name, type_ in spec.fields.items()
    ]
    return [*zip(*columns, strict=True)]


def compare(column: str, node: Comparison) -> tuple[str, list[Any]]:
    """Return a comparison in the dialect of SQLite, and its parameter; for `where`.

    The parameter of the lookup ``in`` is a text of JSON, which may hold thousands of values.
    """
    if node.lookup == "in":
        values = json.dumps([_key(node.type, value) for value in node.value])
        return f"{column} IN (SELECT value FROM json_each(?))", [values]
    value = _key(node.type, node.value)
    if node.lookup == "contains":
        return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ?)", [value]
    return f"{column} {OPERATORS[node.lookup]} ?", [value]


def _stored(type_: FieldType, value: Any) -> Any:
    if value is None:
        return None
    return json.dumps(value) if isinstance(value, list) else _key(type_, value)


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
