"""Statements on Django's own connection, which leave nothing behind in it.

A search needs settings of its session, such as ``hnsw.ef_search``. They are sent together
with it, as one message: PostgreSQL runs that as one transaction, at the end of which the
settings are gone. Inside a caller's transaction, a savepoint is rolled back instead. Either
way it is one round trip, no parameter is bound on the server, and no prepared statement or
temporary table is left, so that a pooler may give the next message to another session.

One of these settings is the search path: tables are looked for, made and dropped only in the
schema of the registry, which is the first one of the caller's search path that has it.
"""

from __future__ import annotations

import os
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

from .errors import CONFLICTS, MOVED, psycopg_error, told
from .extension import LOOK, Extension, checked
from .models import VectorTable

ResultT = TypeVar("ResultT")
Cursor: TypeAlias = "psycopg.ClientCursor[tuple[Any, ...]]"
Parameters: TypeAlias = Sequence[Any]

SAVEPOINT = "wagtail_vector_index_pgvector"
ROLLBACK = f"ROLLBACK TO SAVEPOINT {SAVEPOINT}"

#: How often a write begins again that another one got in the way of.
ATTEMPTS = 10

#: Milliseconds that a write waits for its turn, which is more than most indexes take to build.
LONGEST_WAIT = "600000"

#: What every write changes, whatever its own settings.
BOUND = ("search_path", "lock_timeout")

#: Binds names to the schema of the registry, until the end of the transaction. The function
#: quotes it, and takes a third of the time that a query of the catalogue does.
BIND = (
    "set_config('search_path', coalesce((pg_identify_object('pg_class'::regclass,"
    f" to_regclass('{VectorTable._meta.db_table}'), 0)).schema, current_setting('search_path')),"
    " true)"
)


class Database:
    """One of Django's databases, as the backend uses it.

    Args:
        alias: in ``DATABASES``.
        timeout: seconds that a statement may take.
    """

    def __init__(self, alias: str, timeout: float) -> None:
        self.alias = alias
        self._timeout = timeout
        self._extension: Extension | None = None
        self._is_postgresql = False

    @property
    def connection(self) -> Any:
        """Django's connection of this thread.

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
        """Where the extension is; asked once.

        Raises:
            ConfigurationError: it is not there, or too old.
        """
        if self._extension is None:
            rows = self.read(LOOK)
            name = str(self.connection.settings_dict["NAME"])
            self._extension = checked(rows[0] if rows else None, name)
        return self._extension

    def forget(self) -> None:
        """Ask again for what was asked once, and close an idle connection of this thread."""
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
        settings: Mapping[str, str] | None = None,
    ) -> list[tuple[Any, ...]]:
        """The rows of a query, under settings that end with it.

        Raises:
            BackendError: in the project's words; the caller's transaction goes on.
        """
        changed = {"statement_timeout": self._timeout_text, "jit": "off", **(settings or {})}
        message = f"{_set_config(changed)}; {query}"

        def ask(raw: Any) -> list[tuple[Any, ...]]:
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
    ) -> ResultT:
        """Run statements in a transaction, or in a savepoint of the caller's.

        Args:
            work: gets a cursor; called again if another transaction was in the way.
            collection: for the errors.
            lock: what to be the only one with, until the transaction ends; waiting for it
                is no part of the timeout.
            timeout: seconds that a statement may take; 0 means any time, also for the lock.
            settings: of the session, that end with the work.

        Raises:
            BackendError: in the project's words; the caller's transaction goes on.
        """
        limit = self._timeout_text if timeout is None else _milliseconds(timeout)
        changed = {"statement_timeout": limit, **(settings or {})}
        begin = _set_config(changed)
        if lock:
            wait = {"statement_timeout": "0", "lock_timeout": "0" if timeout == 0 else LONGEST_WAIT}
            begin = f"{_set_config(wait)}; {_lock(lock)}; {begin}"

        def attempt(raw: Any) -> ResultT:
            nested = not raw.autocommit
            with transaction.atomic(using=self.alias), _cursor(raw) as cursor:
                before = _current(cursor, [*BOUND, *changed]) if nested else {}
                cursor.execute(begin)
                result = work(cursor)
                if nested:
                    cursor.execute(_restored(before))
                return result

        def attempts(raw: Any) -> ResultT:
            # Within a caller's transaction, the locks it has would be in the way once more.
            for _ in range(ATTEMPTS - 1 if raw.autocommit else 0):
                with suppress(*CONFLICTS):
                    return attempt(raw)
            return attempt(raw)

        return self._run(attempts, collection)

    def autocommit(self, statement: str, *, collection: str = "") -> None:
        """Run what cannot run in a transaction; nothing happens if the caller is in one."""

        def run(raw: Any) -> None:
            if raw.autocommit:
                with _cursor(raw) as cursor:
                    cursor.execute(statement)

        self._run(run, collection)

    def _run(self, action: Callable[[Any], ResultT], collection: str) -> ResultT:
        """Run an action on the raw connection.

        Raises:
            TransactionManagementError: the caller's transaction is broken already.
            BackendError: for any other error of the database.
        """
        connection = self.connection
        _check_transaction(connection)
        try:
            return action(_raw(connection))
        except (psycopg.Error, django.db.Error) as error:
            cause = psycopg_error(error)
            if isinstance(cause, MOVED):
                self._extension = None
            raise told(cause, self.alias, collection) from cause

    @property
    def _timeout_text(self) -> str:
        return _milliseconds(self._timeout)


def database_problem(alias: str) -> str:
    """What is wrong with an alias, known without a network; empty if nothing is."""
    if alias not in connections.settings:
        known = ", ".join(map(repr, connections.settings))
        return f"'DATABASE' names {alias!r}, which is not in DATABASES. It has: {known}."
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return (
            f"The database {alias!r} is not PostgreSQL, but {connection.display_name}."
            " Under 'DATABASE', name one that is; or use the backend 'numpy', which needs none."
        )
    return ""


def _check_transaction(connection: Any) -> None:
    connection.validate_no_broken_transaction()
    raw = connection.connection
    if raw is not None and raw.info.transaction_status == TransactionStatus.INERROR:
        raise transaction.TransactionManagementError(
            f"An error occurred in the current transaction in the database {connection.alias!r}."
            " It takes no statement until it is rolled back: put what may fail into an 'atomic'"
            " block of its own."
        )


def _raw(connection: Any) -> Any:
    """Psycopg's connection; a new one if the server has closed that in the meantime.

    Django looks after dead connections between requests only; a worker may live for days.
    Nothing is sent twice: whether a statement was run before its connection broke is unknown.
    """
    raw = connection.connection
    if raw is not None and _is_idle(connection) and _is_dead(raw):
        connection.close()
    connection.ensure_connection()
    _used.add(connection.alias)
    if _has_cursors_of_its_own(connection):
        # With them, what extends Django's connection (such as django-tenants) sets the search
        # path. Elsewhere, making one is an eighth of a search's Python.
        with connection.cursor():
            pass
    return connection.connection


#: Aliases whose connections were used in this process.
_used: set[str] = set()

#: Sessions of the process that this one was forked from. They are kept, since psycopg warns of
#: what it finds open when it is thrown away, and never closed: that would end them for both.
_inherited: list[Any] = []


def _after_fork() -> None:
    """Leave open sessions to the parent, and let Django open others for the child.

    Django does not do that itself: two processes on one session read each other's answers.
    """
    for connection in connections.all(initialized_only=True):
        if connection.alias in _used and connection.connection is not None:
            _inherited.append(connection.connection)
            connection.connection = None
            if connection.in_atomic_block:
                # As after a loss in a transaction: nothing can be done until it is left.
                connection.closed_in_transaction = connection.needs_rollback = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _has_cursors_of_its_own(connection: Any) -> bool:
    return any(
        getattr(getattr(connection, name), "__func__", None) is not getattr(DatabaseWrapper, name)
        for name in ("cursor", "_cursor")
    )


def _is_idle(connection: Any) -> bool:
    return bool(not connection.in_atomic_block and connection.get_autocommit())


def _is_dead(raw: Any) -> bool:
    try:
        # Reads without waiting what the server has sent: first its farewell, then the end.
        raw.pgconn.consume_input()
        raw.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return bool(raw.closed)


def _cursor(raw: Any) -> Cursor:
    return psycopg.ClientCursor(raw, row_factory=tuple_row)


def _rows(raw: Any, message: str, parameters: Parameters, *, position: int) -> list[Any]:
    """The rows that one of the statements of a message gives."""
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
    """Binds names, and sets settings, until the end of the transaction."""
    return _set_config_of(tuple(settings.items()))


@lru_cache(maxsize=256)  # building it anew is a tenth of a search's Python
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


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1_000))
