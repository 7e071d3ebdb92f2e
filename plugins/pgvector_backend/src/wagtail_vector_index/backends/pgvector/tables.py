"""One table for each collection, with typed columns: how it is named, made and dropped."""

from __future__ import annotations

from django.db.models import QuerySet

from wagtail_vector_index.collection import CollectionSpec
from wagtail_vector_index.exceptions import CollectionMismatch, InvalidSpec

from .columns import COLUMN_TYPES, column_of
from .database import Cursor, Database
from .extension import Extension
from .models import VectorTable

#: Prefixes that the names of collections are put after; 63 characters is all a name may have.
PREFIX = "wvi_vectors_"

#: What pgvector's type of vectors can hold.
MOST_DIMENSIONS = 16_000

#: PostgreSQL's tables have at most 1,600 columns.
MOST_FIELDS = 1_500


def table_name(spec: CollectionSpec) -> str:
    """The table of a collection, quoted."""
    return f'"{PREFIX}{spec.name}"'


def create(database: Database, spec: CollectionSpec) -> None:
    """Make the table and register it, unless it is there.

    Raises:
        CollectionMismatch: it is there in another shape.
        InvalidSpec: no table can hold such vectors.
    """
    if spec.dimensions > MOST_DIMENSIONS or len(spec.fields) > MOST_FIELDS:
        raise InvalidSpec(
            f"{spec.name}: PostgreSQL holds vectors of at most {MOST_DIMENSIONS:,} dimensions"
            f" with at most {MOST_FIELDS:,} fields."
        )
    database.write(lambda cursor: _create(database, cursor, spec), collection=spec.name)


def _create(database: Database, cursor: Cursor, spec: CollectionSpec) -> None:
    if _exists(database, cursor, spec):
        return
    lock(cursor, spec)
    if _exists(database, cursor, spec):
        return
    _registered(database, spec).delete()
    cursor.execute(f"DROP TABLE IF EXISTS {table_name(spec)}")
    for statement in definition(database.extension(), spec):
        cursor.execute(statement)
    VectorTable.objects.using(database.alias).create(
        name=spec.name,
        dimensions=spec.dimensions,
        metric=spec.metric,
        fields=dict(spec.fields),
    )


def drop(database: Database, spec: CollectionSpec) -> None:
    """Drop the table, which gives its space back at once, and forget it."""

    def work(cursor: Cursor) -> None:
        lock(cursor, spec)
        cursor.execute(f"DROP TABLE IF EXISTS {table_name(spec)}")
        _registered(database, spec).delete()

    database.write(work, collection=spec.name)


def names(database: Database) -> list[str]:
    """The names of all collections in the database."""
    query = f"SELECT name FROM {VectorTable._meta.db_table}"
    return [name for (name,) in database.read(query)]


def lock(cursor: Cursor, spec: CollectionSpec) -> None:
    """Be the only one who changes the shape of this collection, until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [table_name(spec)])


def definition(extension: Extension, spec: CollectionSpec) -> list[str]:
    """The statements that make the table and the indexes of its fields."""
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
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table_name(spec)])
    row = cursor.fetchone()
    registered = _registered(database, spec).first()
    if registered is None or row != (True,):
        return False
    is_same = (registered.dimensions, registered.metric, registered.fields) == (
        spec.dimensions,
        spec.metric,
        dict(spec.fields),
    )
    if not is_same:
        raise CollectionMismatch(
            f"The database {database.alias!r} has a collection {spec.name!r} of"
            f" {registered.dimensions} dimensions under {registered.metric} with the fields"
            f" {registered.fields}, which is not {spec}."
        )
    return True


def _registered(database: Database, spec: CollectionSpec) -> QuerySet[VectorTable]:
    return VectorTable.objects.using(database.alias).filter(name=spec.name)
