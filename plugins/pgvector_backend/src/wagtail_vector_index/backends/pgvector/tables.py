"""Names, creates and drops the tables of collections, which have typed columns."""

from __future__ import annotations

import json

from wagtail_vector_index.contract import CollectionSpec
from wagtail_vector_index.contract.sql import column_of
from wagtail_vector_index.exceptions import CollectionMismatch, InvalidSpec

from .columns import COLUMN_TYPES
from .database import Cursor, Database
from .extension import Extension
from .models import PREFIX, VectorTable

REGISTRY = VectorTable._meta.db_table

#: The most dimensions that pgvector's vector type can hold.
MOST_DIMENSIONS = 16_000

#: The most fields of a collection. PostgreSQL's tables have at most 1,600 columns.
MOST_FIELDS = 1_500


def table_name(spec: CollectionSpec) -> str:
    """Return the quoted name of a collection's table."""
    return f'"{PREFIX}{spec.name}"'


def create(database: Database, spec: CollectionSpec) -> None:
    """Create a collection's table and register it, unless it exists.

    Raises:
        CollectionMismatch: the table exists with another shape, or another program made it.
        InvalidSpec: a table cannot hold so many dimensions or fields.
    """
    if spec.dimensions > MOST_DIMENSIONS or len(spec.fields) > MOST_FIELDS:
        raise InvalidSpec(
            f"{spec.name}: PostgreSQL holds vectors of at most {MOST_DIMENSIONS:,} dimensions"
            f" with at most {MOST_FIELDS:,} fields."
        )
    if database.write(lambda cursor: _exists(database, cursor, spec), collection=spec.name):
        return
    statements = definition(database.extension(), spec)

    def work(cursor: Cursor) -> None:
        if not _exists(database, cursor, spec):
            _create(cursor, spec, statements)

    database.write(work, collection=spec.name, lock=table_name(spec))


def _create(cursor: Cursor, spec: CollectionSpec, statements: list[str]) -> None:
    _drop(cursor, spec)  # the row of a table that is gone
    for statement in statements:
        cursor.execute(statement, [])
    cursor.execute(
        f"INSERT INTO {REGISTRY} (name, dimensions, metric, fields) VALUES (%s, %s, %s, %s)",
        [spec.name, spec.dimensions, spec.metric, json.dumps(dict(spec.fields))],
    )


def drop(database: Database, spec: CollectionSpec) -> None:
    """Drop a collection's table, which frees its space at once, and unregister it.

    Raises:
        CollectionMismatch: another program made the table.
    """
    database.write(lambda cursor: _drop(cursor, spec), collection=spec.name, lock=table_name(spec))


def _drop(cursor: Cursor, spec: CollectionSpec) -> None:
    cursor.execute(f"DELETE FROM {REGISTRY} WHERE name = %s", [spec.name])
    if not cursor.rowcount:
        cursor.execute("SELECT to_regclass(%s)", [table_name(spec)])
        if cursor.fetchone() != (None,):
            raise CollectionMismatch(
                f"The database has a table {table_name(spec)} that is not in {REGISTRY}, so another"
                " program made it. It stays as it is. Rename or drop it."
            )
    cursor.execute(f"DROP TABLE IF EXISTS {table_name(spec)}")


def names(database: Database) -> list[str]:
    """Return the names of all collections in the database."""
    return [name for (name,) in database.read(f"SELECT name FROM {REGISTRY}")]


def definition(extension: Extension, spec: CollectionSpec) -> list[str]:
    """Return the statements that create the table and the indexes of its fields."""
    table = table_name(spec)
    columns = [
        '"id" uuid PRIMARY KEY',
        f'"embedding" {extension.named("vector")}({spec.dimensions}) NOT NULL',
        '"metadata" json NOT NULL',
        *(f"{column_of(field)} {COLUMN_TYPES[type_].sql}" for field, type_ in spec.fields.items()),
    ]
    indexes = [
        f"CREATE INDEX ON {table} USING {COLUMN_TYPES[type_].index} ({column_of(field)})"
        for field, type_ in spec.fields.items()
    ]
    return [f"CREATE TABLE {table} ({', '.join(columns)})", *indexes]


def _exists(database: Database, cursor: Cursor, spec: CollectionSpec) -> bool:
    # This query does not use the ORM, whose cursors may set another search path.
    cursor.execute(
        f"SELECT dimensions, metric, fields::text FROM {REGISTRY}"
        " WHERE name = %s AND to_regclass(%s) IS NOT NULL",
        [spec.name, table_name(spec)],
    )
    row = cursor.fetchone()
    if row is None:
        return False
    dimensions, metric, fields = row[0], row[1], json.loads(row[2])
    if (dimensions, metric, fields) != (spec.dimensions, spec.metric, dict(spec.fields)):
        raise CollectionMismatch(
            f"The database {database.alias!r} has a collection {spec.name!r} of {dimensions}"
            f" dimensions under {metric} with the fields {fields}, which is not {spec}."
        )
    return True
