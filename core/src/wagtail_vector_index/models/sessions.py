"""Database sessions: none is shared with a forked process, and lost ones are replaced.

Django hands open sessions, and its pools of sessions, on to a forked process. Two processes with
the same session read each other's results. So a child process leaves all of them to its parent.

A server also ends sessions, for example during maintenance. Django opens new sessions only
between requests. Reads, and writes that may be repeated, are repeated once on a new session.

A pooler such as PgBouncer may give a session of its own to each transaction, so nothing may be
left in a session for a later statement: no setting, no cursor.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

from django.db import (
    Error,
    InterfaceError,
    InternalError,
    OperationalError,
    connections,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet

from ..contract.sansio import Steps

__all__ = ["again_if_lost", "is_down", "steps_again_if_lost", "streamed"]

P = ParamSpec("P")
T = TypeVar("T")

#: SQLSTATE of PostgreSQL: the session was ended by an administrator, a crash, a shutdown, an
#: idle time-out or a time-out of an idle transaction.
_POSTGRESQL = {"57P01", "57P02", "57P05", "25P03"}

#: The class of SQLSTATE for connections that failed. Poolers use it for their own errors too.
_OF_CONNECTIONS = "08"

#: The errors that Django makes of these: PostgreSQL calls its time-outs internal errors.
_OF_SESSIONS = (OperationalError, InterfaceError, InternalError)

#: Error numbers of MySQL and MariaDB: the server has gone away, or closed the connection.
_MYSQL = {2006, 2013, 4031}

#: The mark of an error of work that was repeated.
_REPEATED = "was_repeated"

#: Sessions and pools of the parent process. They stay referenced and are never closed, because
#: closing them would close the parent's too.
_inherited: list[Any] = []


def again_if_lost(work: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function to run once more if the database has ended a session meanwhile.

    Within a transaction of the caller's, the error is raised at once, since what the caller wrote
    before is undone.

    Args:
        work: reads, or writes what may be written twice.
    """

    @functools.wraps(work)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except Error as error:
            if not _may_be_repeated(error):
                raise
        with _the_last_time():
            return work(*args, **kwargs)

    return repeated


def steps_again_if_lost(begin: Callable[[], Steps[T]]) -> Steps[T]:
    """Like `again_if_lost`, for an operation written as steps."""
    try:
        return (yield from begin())
    except Error as error:
        if not _may_be_repeated(error):
            raise
    with _the_last_time():
        return (yield from begin())


@contextmanager
def streamed(queryset: QuerySet[Any]) -> Iterator[Iterator[Any]]:
    """Read rows one by one, for a block that does nothing else.

    On PostgreSQL, the rows come from a cursor in the session. A transaction keeps the session for
    the block.
    """
    has_cursors = connections[queryset.db].vendor == "postgresql"
    with transaction.atomic(queryset.db, savepoint=False) if has_cursors else nullcontext():
        yield queryset.iterator()


def is_down(error: Exception, using: Iterable[str]) -> bool:
    """Return whether an error means that a session has ended, or that a database is down.

    Any other error comes from what was asked, as after a time-out of a single statement.

    Args:
        error: the error.
        using: the aliases of the databases that must answer. Others may be down.
    """
    return isinstance(error, _OF_SESSIONS) and (_is_lost(error) or not all(map(_answers, using)))


def _answers(alias: str) -> bool:
    connection = connections[alias]
    try:
        connection.ensure_connection()
    except Error:
        return False
    return connection.is_usable()


def _may_be_repeated(error: Error) -> bool:
    return not hasattr(error, _REPEATED) and _is_lost(error) and _replaced()


@contextmanager
def _the_last_time() -> Iterator[None]:
    """Mark an error, so that no caller repeats what was repeated already."""
    try:
        yield
    except Error as error:
        setattr(error, _REPEATED, True)
        raise


def _is_lost(error: Error) -> bool:
    """Return whether a session has ended, whatever the error says, or the error says so."""
    cause = error.__cause__
    if not isinstance(error, _OF_SESSIONS) or _is_of_connecting(cause):
        return False
    return _says_so(error, cause) or any(
        each.connection is not None and not each.is_usable()
        for each in connections.all(initialized_only=True)
    )


def _says_so(error: Error, cause: Any) -> bool:
    """Return whether an error says that there is no session any more.

    Django closes a connection whose transaction cannot be rolled back. Only the error tells then.
    """
    states = [getattr(cause, name, "") for name in ("sqlstate", "pgcode")]
    if None in states:
        return True  # the driver says so, not the server
    return bool(
        _POSTGRESQL.intersection(states)
        or any(state.startswith(_OF_CONNECTIONS) for state in states)
        or _MYSQL.intersection(error.args[:1])
    )


def _is_of_connecting(cause: Any) -> bool:
    """Return whether psycopg opened no session, or its pool has none to give.

    A second attempt would only take as long again.
    """
    is_of_pool = type(cause).__module__.startswith("psycopg_pool")
    return is_of_pool or getattr(cause, "pgconn", None) is not None


def _replaced() -> bool:
    """Close this thread's lost sessions, so that Django opens new ones.

    Return False, and close nothing, if the caller has begun a transaction in one of them.
    """
    lost = [each for each in connections.all(initialized_only=True) if not _works(each)]
    if any(map(_in_transaction, lost)):
        return False
    for connection in lost:
        connection.close()
    return True


def _works(connection: Any) -> bool:
    return connection.connection is not None and connection.is_usable()


def _in_transaction(connection: Any) -> bool:
    is_open = connection.connection is not None
    return bool(connection.in_atomic_block or (is_open and not connection.autocommit))


def _after_fork() -> None:
    """Leave sessions and pools to the parent, so that Django opens new ones for the child."""
    for pools in _pools(BaseDatabaseWrapper):
        _inherited.append(dict(pools))
        pools.clear()
    for connection in connections.all(initialized_only=True):
        # A connection of SQLite has no session on a server.
        if connection.connection is not None and connection.vendor != "sqlite":
            _inherited.append(connection.connection)
            connection.connection = None
            if connection.in_atomic_block:
                # As after a lost connection: the transaction must end before anything else.
                connection.closed_in_transaction = connection.needs_rollback = True
            connection.close()  # forgets what was to run on the parent's commit


def _pools(kind: type[Any]) -> Iterator[dict[str, Any]]:
    """Yield the pools of each kind of database, by alias. Pools are shared by threads."""
    if "_connection_pools" in vars(kind):
        yield kind._connection_pools  # noqa: SLF001  # Django has no other way to all pools
    for subclass in kind.__subclasses__():
        yield from _pools(subclass)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
