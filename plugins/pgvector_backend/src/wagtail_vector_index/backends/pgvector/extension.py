"""Finds the extension pgvector in a database, checks its version, and creates it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import DatabaseError, transaction

from wagtail_vector_index.exceptions import ConfigurationError

#: The first version whose index scans continue until enough rows match a filter.
LEAST_VERSION = (0, 8, 0)

#: Parallel migrations take this lock before they check for an object and create it.
LOCK = 0x77_76_69_70_67

LOOK = (
    "SELECT nspname, extversion FROM pg_extension"
    " JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector'"
)


@dataclass(frozen=True, kw_only=True)
class Extension:
    """The schema of the extension's types and operators, and its version."""

    schema: str
    version: str

    def named(self, name: str) -> str:
        """Return the full name of a type, function or operator class, for any search path.

        A "%" in the name is doubled, because psycopg searches these statements for parameters.
        """
        return f"{self._quoted}.{name}"

    def operator(self, symbol: str) -> str:
        """Return the full name of an operator, for any search path."""
        return f"OPERATOR({self._quoted}.{symbol})"

    @cached_property
    def _quoted(self) -> str:
        return '"' + self.schema.replace('"', '""').replace("%", "%%") + '"'


def checked(found: tuple[str, str] | None, database: str) -> Extension:
    """Return the extension that `LOOK` found, if it can be used.

    Raises:
        ConfigurationError: the extension is missing or too old. The message has the statement to
            run.
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
            f"The database {database!r} has pgvector {extension.version}, but {least} or later"
            f" is needed. {_advice(database, 'ALTER EXTENSION vector UPDATE;')}"
        )
    return extension


def enable(connection: Any) -> None:
    """Create the extension in a Django connection's database, if it is missing.

    Raises:
        ConfigurationError: this user may not create it, or the server does not have it.
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
        " If the server does not have the extension, install it there first:"
        " https://github.com/pgvector/pgvector#installation"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
