"""Inserts rows without a model instance for each, which takes a quarter of the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from django.db import connections, models
from django.db.models.constants import OnConflict

from ..content.lookups import plain_type
from ..contract.slices import slices
from ..models.tables import index_database
from ..models.transactions import in_transaction

BATCH_SIZE = 1_000

#: How many rows a statement for PostgreSQL inserts, as many as are left. The numbers are few,
#: since its statistics keep statements of another number apart. They are small, since a limit of
#: time counts for a whole statement, and a statement that fails is logged with its values.
_AT_ONCE = (64, 8, 1)


def insert_rows(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    same: Mapping[str, Any] | None = None,
    ignore_conflicts: bool = False,
) -> None:
    """Insert rows of values into an index table, either all rows or none.

    If other transactions may insert the same rows, all must do so in the same order. Otherwise,
    two of them can wait for each other.

    Args:
        model: the model of the table; defaults of its fields do not apply.
        columns: the names of fields, as attributes of an instance (``collection_id``).
        rows: for each row, one value for each column.
        same: values that are the same in every row, by the name of the field.
        ignore_conflicts: whether to leave out rows that a unique constraint refuses.
    """
    connection = connections[index_database()]
    same = same or {}
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    fields = [by_name[name] for name in columns]
    constants = tuple(
        by_name[name].get_db_prep_save(value, connection) for name, value in same.items()
    )
    # For most values, a field has nothing to prepare, but takes some microseconds to find out.
    plain = [(field, plain_type(field)) for field in fields]
    values = [
        (
            *constants,
            *[
                value if type(value) is type_ else field.get_db_prep_save(value, connection)
                for (field, type_), value in zip(plain, row, strict=True)
            ],
        )
        for row in rows
    ]
    statement = partial(
        _statement,
        connection,
        model,
        [by_name[name] for name in (*same, *columns)],
        OnConflict.IGNORE if ignore_conflicts else None,
    )

    def insert() -> None:
        with connection.cursor() as cursor:
            # psycopg's `executemany` sends a statement for each row, which takes half as long
            # again. But a statement that Django logs, as it does with DEBUG, is kept in memory.
            if connection.vendor == "postgresql" and not connection.queries_logged:
                for some in _parts(values):
                    cursor.execute(statement(len(some)), list(chain.from_iterable(some)))
            else:
                for some in slices(values, BATCH_SIZE):
                    cursor.executemany(statement(1), some)

    in_transaction(insert, connection.alias, savepoint=False)


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    """Yield rows in parts of the numbers of `_AT_ONCE`."""
    start = 0
    for size in _AT_ONCE:
        while start + size <= len(values):
            yield values[start : start + size]
            start += size


def _statement(
    connection: Any,
    model: type[models.Model],
    fields: Sequence[models.Field[Any, Any]],
    on_conflict: OnConflict | None,
    count: int,
) -> str:
    """Return the SQL that inserts a number of rows."""
    operations = connection.ops
    row = f"({', '.join(['%s'] * len(fields))})"
    parts = (
        operations.insert_statement(on_conflict=on_conflict),
        operations.quote_name(model._meta.db_table),
        f"({', '.join(operations.quote_name(field.column) for field in fields)})",
        f"VALUES {', '.join([row] * count)}",
        operations.on_conflict_suffix_sql(fields, on_conflict, (), ()),
    )
    return " ".join(part for part in parts if part)
