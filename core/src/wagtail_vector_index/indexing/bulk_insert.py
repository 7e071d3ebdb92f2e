"""Inserts rows without a model instance for each, which takes a quarter of the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, models
from django.db.models.constants import OnConflict

from ..content.lookups import plain_type
from ..contract.slices import slices
from ..models.tables import index_database
from ..models.transactions import in_transaction

BATCH_SIZE = 1_000

#: The most rows of a statement for PostgreSQL. A limit of time counts for a whole statement.
_AT_ONCE = 128


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
    constants, fields = [by_name[name] for name in same], [by_name[name] for name in columns]
    first = [
        field.get_db_prep_save(value, connection)
        for field, value in zip(constants, same.values(), strict=True)
    ]
    # For most values, a field has nothing to prepare, but takes some microseconds to find out.
    plain = [(field, plain_type(field)) for field in fields]
    values: list[list[Any]] = [
        [
            value if type(value) is type_ else field.get_db_prep_save(value, connection)
            for (field, type_), value in zip(plain, row, strict=True)
        ]
        for row in rows
    ]
    # A statement that Django logs, as it does with DEBUG, is kept in memory with its values, unless
    # it is one for many rows.
    by_arrays = connection.vendor == "postgresql" and not connection.queries_logged
    source = _arrays(connection, constants, fields) if by_arrays else _row([*constants, *fields])
    on_conflict = OnConflict.IGNORE if ignore_conflicts else None
    statement = _statement(connection, model, [*constants, *fields], source, on_conflict)

    def insert() -> None:
        with connection.cursor() as cursor:
            if by_arrays:
                with _cursor_for_arrays(connection) as binding:
                    for some in slices(values, _AT_ONCE):
                        binding.execute(statement, [*first, *map(list, zip(*some, strict=True))])
            else:
                for some in slices(values, BATCH_SIZE):
                    cursor.executemany(statement, [[*first, *row] for row in some])

    in_transaction(insert, connection.alias, savepoint=False)


def _row(fields: Sequence[models.Field[Any, Any]]) -> str:
    """Return the SQL for the values of one row."""
    return f"VALUES ({', '.join(['%s'] * len(fields))})"


def _arrays(
    connection: Any,
    constants: Sequence[models.Field[Any, Any]],
    fields: Sequence[models.Field[Any, Any]],
) -> str:
    """Return the SQL for the rows of one array for each field, with values that are the same."""
    # Without a length: a cast to a length would cut off what the column refuses.
    types = [str(field.db_type(connection)).partition("(")[0] for field in (*constants, *fields)]
    values = [f"%s::{type_}" for type_ in types[: len(constants)]]
    arrays = [f"%s::{type_}[]" for type_ in types[len(constants) :]]
    listed = ", ".join([*values, "rows.*"])
    return f"SELECT {listed} FROM unnest({', '.join(arrays)}) AS rows"  # noqa: S608  # no values


def _cursor_for_arrays(connection: Any) -> Any:
    """Return a cursor that sends arrays apart from the statement, in binary form.

    Django's usual one writes them into its text, and quotes vectors and texts letter by letter.
    That takes five times as long.
    """
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    if not is_psycopg3:
        return connection.cursor()
    from django.db.backends.postgresql.base import ServerBindingCursor
    from psycopg.types.array import ListBinaryDumper

    cursor: Any = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]
    cursor.adapters.register_dumper(list, ListBinaryDumper)
    return connection._prepare_cursor(cursor)  # noqa: SLF001  # it translates errors


def _statement(
    connection: Any,
    model: type[models.Model],
    fields: Sequence[models.Field[Any, Any]],
    source: str,
    on_conflict: OnConflict | None,
) -> str:
    """Return the SQL that inserts rows of these fields, which another part of it makes."""
    operations = connection.ops
    parts = (
        operations.insert_statement(on_conflict=on_conflict),
        operations.quote_name(model._meta.db_table),
        f"({', '.join(operations.quote_name(field.column) for field in fields)})",
        source,
        operations.on_conflict_suffix_sql(fields, on_conflict, (), ()),
    )
    return " ".join(part for part in parts if part)
