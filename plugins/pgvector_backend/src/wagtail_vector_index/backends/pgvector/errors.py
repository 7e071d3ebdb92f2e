"""What PostgreSQL's errors are in the words of the project."""

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

#: Another transaction was in the way: the same statement can succeed a moment later.
CONFLICTS = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation)

#: The extension is no longer where it was.
MOVED = (errors.UndefinedObject, errors.UndefinedFunction, errors.InvalidSchemaName)

#: The table has other columns, or vectors of another size.
OTHER_SHAPE = (
    errors.UndefinedColumn,
    errors.DatatypeMismatch,
    errors.UndefinedFunction,
    errors.CannotCoerce,
)


def psycopg_error(error: Exception) -> Exception:
    """The error of psycopg inside one of Django's."""
    inner = error.__cause__
    return inner if isinstance(inner, psycopg.Error) else error


def told(error: Exception, database: str, collection: str) -> VectorIndexError:
    """The project's error for one of psycopg's."""
    lines = str(error).strip().splitlines()
    says = f"The database {database!r}: {lines[0] if lines else type(error).__name__}"
    if isinstance(error, errors.UndefinedTable) and VectorTable._meta.db_table in says:
        return ConfigurationError(
            f"{says}. Run: manage.py migrate {VectorTable._meta.app_label} --database={database}"
        )
    if isinstance(error, errors.UndefinedTable):
        return CollectionNotFound(f"{says}. There is no collection {collection!r}.")
    if isinstance(error, OTHER_SHAPE) or "different vector dimensions" in says:
        return CollectionMismatch(f"{says}. The collection {collection!r} has another shape.")
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and not isinstance(
        error, (errors.DiskFull, errors.ProgramLimitExceeded)
    ):
        return BackendUnavailable(says)
    return BackendRefused(says)
