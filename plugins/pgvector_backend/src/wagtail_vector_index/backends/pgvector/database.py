"""Statements on Django's own connection, which leave nothing behind in it.

A search needs settings of its session, such as ``hnsw.ef_search``. They are sent together
with it, as one message: PostgreSQL runs that as one transaction, at the end of which the
settings are gone. Inside a caller's transaction, a savepoint is rolled back instead. Either
way it is one round trip, no parameter is bound on the server, and no prepared statement or
temporary table is left, so that a pooler may give the next message to another session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import psycopg
from django.db import Error as DjangoError
from django.db import connections, transaction
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from wagtail_vector_index.exceptions import InvalidOptions

from .errors import CONFLICTS, translated
from .extension import LOOK, Extension, checked

ResultT = TypeVar("ResultT")
Cursor: TypeAlias = "psycopg.ClientCursor[tuple[Any, ...]]"
Parameters: TypeAlias = Sequence[Any]

SAVEPOINT = "wagtail_vector_index_pgvector"
ROLLBACK = f"ROLLBACK TO SAVEPOINT {SAVEPOINT}"

#: How often a write begins again that another one got in the way of.
ATTEMPTS = 10


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

    @property
    def connection(self) -> Any:
        """Django's connection of this thread.

        Raises:
            InvalidOptions: there is no such alias, or it is not PostgreSQL.
        """
        if problem := database_problem(self.alias):
            raise InvalidOptions(problem)
        return connections[self.alias]

    @property
    def in_transaction(self) -> bool:
        """Whether the caller has begun a transaction."""
        connection = self.connection
        return bool(connection.in_atomic_block or not connection.get_autocommit())

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
        if not connection.in_atomic_block:
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

        with translated(self.alias, collection):
            return self._reconnecting(ask)

    def write(
        self,
        work: Callable[[Cursor], ResultT],
        *,
        collection: str = "",
        timeout: float | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> ResultT:
        """Run statements in a transaction, or in a savepoint of the caller's.

        Args:
            work: gets a cursor; called again if another transaction was in the way.
            collection: for the errors.
            timeout: seconds that a statement may take; 0 means any time.
            settings: of the session, that end with the work.

        Raises:
            BackendError: in the project's words; the caller's transaction goes on.
        """
        limit = self._timeout_text if timeout is None else _milliseconds(timeout)
        changed = {"statement_timeout": limit, **(settings or {})}

        def attempt(raw: Any) -> ResultT:
            nested = not raw.autocommit
            with transaction.atomic(using=self.alias), _cursor(raw) as cursor:
                before = _current(cursor, list(changed)) if nested else {}
                cursor.execute(_set_config(changed))
                result = work(cursor)
                if nested:
                    cursor.execute(_set_config(before))
                return result

        with translated(self.alias, collection):
            for _ in range(ATTEMPTS - 1):
                try:
                    return self._reconnecting(attempt)
                except CONFLICTS:
                    continue
            return self._reconnecting(attempt)

    def autocommit(self, statement: str) -> None:
        """Run what cannot run in a transaction; nothing happens if the caller is in one."""
        if not self.in_transaction:

            def run(raw: Any) -> None:
                with _cursor(raw) as cursor:
                    cursor.execute(statement)

            with translated(self.alias):
                self._reconnecting(run)

    def _reconnecting(self, action: Callable[[Any], ResultT]) -> ResultT:
        """Run an action on the raw connection, and once more if that was dead already.

        Django looks after dead connections between requests only; a worker may live for days.
        """
        connection = self.connection
        before = connection.connection
        try:
            return action(_raw(connection))
        except (psycopg.Error, DjangoError):
            if before is None or not before.closed or connection.in_atomic_block:
                raise
            if connection.connection is before:  # else Django has opened another by now
                connection.close()
        return action(_raw(connection))

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
            " Name one that is under 'DATABASE', or use the backend 'numpy', which needs none."
        )
    return ""


def _raw(connection: Any) -> Any:
    raw = connection.connection
    if raw is not None and raw.closed and not connection.in_atomic_block:
        connection.close()
    connection.ensure_connection()
    return connection.connection


def _cursor(raw: Any) -> Cursor:
    return psycopg.ClientCursor(raw, row_factory=tuple_row)


def _rows(raw: Any, message: str, parameters: Parameters, *, position: int) -> list[Any]:
    """The rows that one of the statements of a message gives."""
    with _cursor(raw) as cursor:
        # Without parameters, psycopg does not look for places to put them.
        cursor.execute(message, parameters or None)
        for _ in range(position):
            cursor.nextset()
        return cursor.fetchall()


def _current(cursor: Cursor, names: Sequence[str]) -> dict[str, str]:
    calls = ", ".join(f"current_setting({sql.quote(name)}, true)" for name in names)
    cursor.execute(f"SELECT {calls}")
    values = cursor.fetchone() or ()
    return {name: value or "" for name, value in zip(names, values, strict=True)}


def _set_config(settings: Mapping[str, str]) -> str:
    """Sets settings until the end of the transaction."""
    calls = ", ".join(
        f"set_config({sql.quote(name)}, {sql.quote(value)}, true)"
        for name, value in settings.items()
    )
    return f"SELECT {calls}"


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1_000))
