"""The extension in a database: where it is, which version, and how it gets there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import DatabaseError, transaction

from wagtail_vector_index.exceptions import ConfigurationError

#: Scans of an index that go on until a filter's limit is met came with this version.
LEAST_VERSION = (0, 8, 0)

#: Whatever runs at the same time takes this lock before it looks and creates.
LOCK = 0x77_76_69_70_67

LOOK = (
    "SELECT nspname, extversion FROM pg_extension"
    " JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector'"
)


@dataclass(frozen=True, kw_only=True)
class Extension:
    """Where the extension's types and operators are, and their version."""

    schema: str
    version: str

    def named(self, name: str) -> str:
        """A type, function or class of operators, wherever the search path points.

        Wherever these names are, psycopg looks for places of parameters: "%" is doubled.
        """
        return f"{self._quoted}.{name}"

    def operator(self, symbol: str) -> str:
        """An operator, likewise."""
        return f"OPERATOR({self._quoted}.{symbol})"

    @cached_property
    def _quoted(self) -> str:
        return '"' + self.schema.replace('"', '""').replace("%", "%%") + '"'


def checked(found: tuple[str, str] | None, database: str) -> Extension:
    """What `LOOK` found, if it can be used.

    Raises:
        ConfigurationError: with the statement that helps.
    """
    if found is None:
        raise ConfigurationError(
            f"The extension pgvector is not enabled in the database {database!r}."
            f" {_advice(database, 'CREATE EXTENSION vector;')}"
        )
    extension = Extension(schema=found[0], version=found[1])
    if _numbers(extension.version) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise ConfigurationError(
            f"The database {database!r} has pgvector {extension.version}, and {least} or later"
            f" is needed. {_advice(database, 'ALTER EXTENSION vector UPDATE;')}"
        )
    return extension


def enable(connection: Any) -> None:
    """Create the extension in a Django connection's database, if it is missing.

    Raises:
        ConfigurationError: this user may not, or the server does not have it.
    """
    database = str(connection.settings_dict["NAME"])
    refusal: DatabaseError | None = None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        if (found := _look(cursor)) is None:
            try:
                with transaction.atomic(using=connection.alias):
                    cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
            except DatabaseError as error:
                refusal = error
            found = _look(cursor)
    try:
        checked(found, database)
    except ConfigurationError as error:
        reason = f" PostgreSQL says: {str(refusal).splitlines()[0]}" if refusal else ""
        raise ConfigurationError(f"{error}{reason}") from refusal


def _look(cursor: Any) -> tuple[str, str] | None:
    cursor.execute(LOOK)
    row: tuple[str, str] | None = cursor.fetchone()
    return row


def _advice(database: str, statement: str) -> str:
    return (
        f"Ask the administrator of the server to run this in {database!r}: {statement}"
        " If the server has no such extension, it must be installed there first:"
        " https://github.com/pgvector/pgvector#installation"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
