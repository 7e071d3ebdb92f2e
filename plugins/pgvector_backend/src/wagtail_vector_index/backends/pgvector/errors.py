"""Converts PostgreSQL's errors to the project's exceptions."""

from __future__ import annotations

import psycopg
from psycopg import errors

from wagtail_vector_index.exceptions import (
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
    ConfigurationError,
    VectorIndexError,
)

from .models import VectorTable

#: Another transaction interfered. The same statement can succeed a moment later.
CONFLICTS = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation)

#: The extension has moved to another schema or was dropped.
MOVED = (errors.UndefinedObject, errors.UndefinedFunction, errors.InvalidSchemaName)

#: The table has other columns, or vectors of another size.
OTHER_SHAPE = (
    errors.UndefinedColumn,
    errors.DatatypeMismatch,
    errors.UndefinedFunction,
    errors.CannotCoerce,
)

#: The server ended the session by its time limit for a transaction, or for an idle one. To psycopg,
#: both are internal errors.
TIMED_OUT = ("25P04", "25P03")

READ_ONLY = (
    "It is read-only, for example a standby, or a primary that is full or was replaced. Connect"
    " to the primary, or let the primary accept writes again."
)


def psycopg_error(error: Exception) -> Exception:
    """Return the error of psycopg that caused an error of Django, or the error itself."""
    inner = error.__cause__
    return inner if isinstance(inner, psycopg.Error) else error


def project_error(error: Exception, database: str, collection: str) -> VectorIndexError:
    """Return the project's exception for an error of psycopg."""
    lines = str(error).strip().splitlines()
    message = f"The database {database!r}: {lines[0] if lines else type(error).__name__}"
    if isinstance(error, errors.UndefinedTable) and VectorTable._meta.db_table in message:
        return ConfigurationError(
            f"{message}. Run: manage.py migrate {VectorTable._meta.app_label} --database={database}"
        )
    if isinstance(error, errors.UndefinedTable):
        return CollectionNotFound(f"{message}. There is no collection {collection!r}.")
    if isinstance(error, OTHER_SHAPE) or "different vector dimensions" in message:
        return CollectionMismatch(f"{message}. The collection {collection!r} has another shape.")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return BackendUnavailable(f"{message}. {READ_ONLY}")
    if getattr(error, "sqlstate", None) in TIMED_OUT:
        return BackendUnavailable(message)
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and not isinstance(
        error, (errors.DiskFull, errors.ProgramLimitExceeded)
    ):
        return BackendUnavailable(message)
    return BackendRefused(message)
