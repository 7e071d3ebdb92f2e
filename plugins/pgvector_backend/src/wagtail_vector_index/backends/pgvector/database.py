"""Runs statements on Django's own connection, and leaves no state behind in the session.

A search needs settings of its session, such as ``hnsw.ef_search``. The settings and the search
are sent as one message. PostgreSQL runs the message as one transaction, and the settings end with
it. Inside a caller's transaction, a savepoint is rolled back instead. Either way, this is one
round trip. No parameter is bound on the server, and no prepared statement or temporary table
remains, so a pooler may send the next message to another session.

One of these settings is the search path. Tables are found, created and dropped only in the schema
of the registry: the first schema of the caller's search path that has the registry's table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import django.db
import psycopg
from django.db import connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from wagtail_vector_index.exceptions import InvalidOptions

from .errors import CONFLICTS, MOVED, project_error, psycopg_error
from .extension import LOOK, Extension, checked
from .models import VectorTable

ResultT = TypeVar("ResultT")
Cursor: TypeAlias = "psycopg.ClientCursor[tuple[Any, ...]]"
Parameters: TypeAlias = Sequence[Any]

SAVEPOINT = "wagtail_vector_index_pgvector"
ROLLBACK = f"ROLLBACK TO SAVEPOINT {SAVEPOINT}"

#: How many times a write is tried if other transactions interfere.
ATTEMPTS = 10

#: The most milliseconds that a write waits for its lock. Most indexes take less time to build.
LONGEST_WAIT = "600000"

#: The settings that every write changes in addition to its own.
BOUND = ("search_path", "lock_timeout")

#: Sets the search path to the schema of the registry, until the end of the transaction. The
#: function quotes the schema, and takes a third of the time of a query of the catalogue.
BIND = (
    "set_config('search_path', coalesce((pg_identify_object('pg_class'::regclass,"
    f" to_regclass('{VectorTable._meta.db_table}'), 0)).schema, current_setting('search_path')),"
    " true)"
)


class Database:
    """One of Django's databases, as the backend uses it.

    Args:
        alias: the alias in ``DATABASES``.
        timeout: the seconds that a statement may take.
    """

    def __init__(self, alias: str, timeout: float) -> None:
        self.alias = alias
        self._timeout = timeout
        self._extension: Extension | None = None
        self._is_postgresql = False

    @property
    def connection(self) -> Any:
        """Django's connection for this thread.

        Raises:
            InvalidOptions: there is no such alias, or it is not PostgreSQL.
        """
        if not self._is_postgresql:
            if problem := database_problem(self.alias):
                raise InvalidOptions(problem)
            self._is_postgresql = True
        return connections[self.alias]

    @property
    def in_transaction(self) -> bool:
        """Whether the caller has begun a transaction."""
        return not _is_idle(self.connection)

    def extension(self) -> Extension:
        """Return the extension. It is looked up once and then cached.

        Raises:
            ConfigurationError: the extension is missing or too old.
        """
        if self._extension is None:
            rows = self.read(LOOK)
            name = str(self.connection.settings_dict["NAME"])
            self._extension = checked(rows[0] if rows else None, name)
        return self._extension

    def forget(self) -> None:
        """Forget what is cached, and close this thread's connection if it is idle."""
        self._extension = None
        if database_problem(self.alias):
            return
        connection = self.connection
        if connection.connection is not None and not self.in_transaction:
            connection.close()

    def read(
        self,
        query: str,
        parameters: Parameters = (),
        *,
        collection: str = "",
        timeout: float | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query. The settings apply to this query only.

        It may take ``timeout`` seconds, or those of this database if that is None.

        Raises:
            BackendError: the query failed. The caller's transaction stays usable.
        """
        limit = self._milliseconds(timeout)
        changed = {"statement_timeout": limit, "jit": "off", **(settings or {})}

        def ask(raw: Any) -> list[tuple[Any, ...]]:
            longer = {} if timeout is None else _whole_time(raw)
            message = f"{_set_config(changed | longer)}; {query}"
            if raw.autocommit:
                return _rows(raw, message, parameters, position=1)
            nested = f"SAVEPOINT {SAVEPOINT}; {message}; {ROLLBACK}; RELEASE SAVEPOINT {SAVEPOINT}"
            try:
                return _rows(raw, nested, parameters, position=2)
            except psycopg.Error:
                if raw.info.transaction_status == TransactionStatus.INERROR:
                    raw.execute(ROLLBACK)
                raise

        return self._run(ask, collection)

    def write(
        self,
        work: Callable[[Cursor], ResultT],
        *,
        collection: str = "",
        lock: str = "",
        timeout: float | None = None,
        settings: Mapping[str, str] | None = None,
        changed_by_work: Sequence[str] = (),
    ) -> ResultT:
        """Run statements in a transaction, or in a savepoint of the caller's transaction.

        Args:
            work: a function that takes a cursor. Called again if another transaction interfered.
            collection: the collection's name, for errors.
            lock: the name of a lock to hold until the transaction ends. The timeout does not
                include the time to wait for it.
            timeout: the seconds that a statement may take. 0 means any time, also for the lock and
                the transaction.
            settings: settings of the session, which end with the work.
            changed_by_work: the names of settings that the work changes itself, which also end
                with it.

        Raises:
            BackendError: a statement failed. The caller's transaction stays usable.
        """
        changed = {"statement_timeout": self._milliseconds(timeout), **(settings or {})}
        waiting = {"statement_timeout": "0", "lock_timeout": LONGEST_WAIT}

        def attempt(raw: Any) -> ResultT:
            nested = not raw.autocommit
            # While it waits for the lock, other limits hold.
            unlimited = _whole_time(raw) if lock or timeout == 0 else {}
            if timeout == 0:
                unlimited["lock_timeout"] = "0"
            begin = _set_config(changed | unlimited)
            if lock:
                begin = f"{_set_config(waiting | unlimited)}; {_lock(lock)}; {begin}"
            with transaction.atomic(using=self.alias), _cursor(raw) as cursor:
                names = [*BOUND, *changed, *unlimited, *changed_by_work]
                before = _current(cursor, names) if nested else {}
                cursor.execute(begin)
                result = work(cursor)
                if nested:
                    cursor.execute(_restored(before))
                return result

        def attempts(raw: Any) -> ResultT:
            # In a caller's transaction, another attempt would meet the same locks.
            for _ in range(ATTEMPTS - 1 if raw.autocommit else 0):
                with suppress(*CONFLICTS):
                    return attempt(raw)
            return attempt(raw)

        return self._run(attempts, collection)

    def autocommit(self, statement: str, *, collection: str = "") -> None:
        """Run a statement that needs autocommit. Nothing happens in a caller's transaction."""

        def run(raw: Any) -> None:
            if raw.autocommit:
                with _cursor(raw) as cursor:
                    cursor.execute(statement)

        self._run(run, collection)

    def _run(self, action: Callable[[Any], ResultT], collection: str) -> ResultT:
        """Run an action on the raw connection.

        If the server ends the connection meanwhile, the action is run once more on a new one. It
        may have been carried out the first time, so every action must be one that can be repeated.

        Raises:
            TransactionManagementError: the caller's transaction is broken already.
            BackendError: the database reported any other error.
        """
        connection = self.connection
        _check_transaction(connection)
        try:
            raw = _raw(connection)
            try:
                return action(raw)
            except (psycopg.OperationalError, django.db.OperationalError):
                if not (_is_idle(connection) and _is_dead(raw)):
                    raise
            return action(_raw(connection))
        except (psycopg.Error, django.db.Error) as error:
            cause = psycopg_error(error)
            if isinstance(cause, MOVED):
                self._extension = None
            raise project_error(cause, self.alias, collection) from cause

    def _milliseconds(self, timeout: float | None) -> str:
        # Rounded up, because 0 would mean any time.
        return str(math.ceil(1_000 * (self._timeout if timeout is None else timeout)))


def database_problem(alias: str) -> str:
    """Return what is wrong with an alias, or an empty text. Needs no network."""
    if alias not in connections.settings:
        known = ", ".join(map(repr, connections.settings))
        return f"'DATABASE' names {alias!r}, which is not in DATABASES. Choose one of: {known}."
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return (
            f"The database {alias!r} is {connection.display_name}, not PostgreSQL."
            " Set 'DATABASE' to a PostgreSQL database, or use the backend 'numpy', which needs no"
            " database."
        )
    return ""


def _check_transaction(connection: Any) -> None:
    connection.validate_no_broken_transaction()
    raw = connection.connection
    if raw is not None and raw.info.transaction_status == TransactionStatus.INERROR:
        raise transaction.TransactionManagementError(
            f"An error occurred in the current transaction in the database {connection.alias!r}."
            " It accepts no statement until it is rolled back. Put statements that may fail into"
            " their own 'atomic' block."
        )


def _raw(connection: Any) -> Any:
    """Return psycopg's connection, a new one if the server has closed the old one.

    Django replaces dead connections only between requests, but a worker may run for days. All
    connections in Django's pool may be dead too, and it hands them out unless CONN_HEALTH_CHECKS
    is set.
    """
    connection.ensure_connection()
    for _ in range(connection.pool.max_size if connection.pool else 1):
        if not (_is_idle(connection) and _is_dead(connection.connection)):
            break
        connection.close()
        connection.ensure_connection()
    if _has_custom_cursors(connection):
        # Extensions of Django's connection, such as django-tenants, set the search path in their
        # cursors. Other connections skip this, which is an eighth of a search's time in Python.
        with connection.cursor():
            pass
    return connection.connection


def _has_custom_cursors(connection: Any) -> bool:
    return any(
        getattr(getattr(connection, name), "__func__", None) is not getattr(DatabaseWrapper, name)
        for name in ("cursor", "_cursor")
    )


def _is_idle(connection: Any) -> bool:
    return bool(not connection.in_atomic_block and connection.get_autocommit())


def _is_dead(raw: Any) -> bool:
    try:
        # Reads without waiting: first the server's last message, then the end of the stream.
        raw.pgconn.consume_input()
        raw.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return bool(raw.closed)


def _whole_time(raw: Any) -> dict[str, str]:
    """Return the setting that leaves a transaction the time of all its statements."""
    # Older servers refuse an unknown setting.
    return {"transaction_timeout": "0"} if raw.info.server_version >= 170_000 else {}


def _cursor(raw: Any) -> Cursor:
    return psycopg.ClientCursor(raw, row_factory=tuple_row)


def _rows(raw: Any, message: str, parameters: Parameters, *, position: int) -> list[Any]:
    """Return the rows of one of the statements in a message."""
    cursor = _cursor(raw)
    cursor.execute(message, parameters)
    for _ in range(position):
        cursor.nextset()
    return cursor.fetchall()


def _current(cursor: Cursor, names: Sequence[str]) -> dict[str, str]:
    calls = ", ".join(f"current_setting({sql.quote(name)}, true)" for name in names)
    cursor.execute(f"SELECT {calls}")
    values = cursor.fetchone() or ()
    return {name: value or "" for name, value in zip(names, values, strict=True)}


def _set_config(settings: Mapping[str, str]) -> str:
    """Return a statement for the search path and settings, until the end of the transaction."""
    return _set_config_of(tuple(settings.items()))


@lru_cache(maxsize=256)  # building it again takes a tenth of a search's time in Python
def _set_config_of(settings: tuple[tuple[str, str], ...]) -> str:
    return f"SELECT {', '.join([BIND, *_set_calls(dict(settings))])}"


def _restored(settings: Mapping[str, str]) -> str:
    return f"SELECT {', '.join(_set_calls(settings))}"


def _set_calls(settings: Mapping[str, str]) -> list[str]:
    return [
        f"set_config({sql.quote(name)}, {sql.quote(value)}, true)"
        for name, value in settings.items()
    ]


def _lock(name: str) -> str:
    return f"SELECT pg_advisory_xact_lock(hashtextextended({sql.quote(name)}, 0))"
