"""Writes that are tried again if they lose against another transaction.

Two transactions may wait for each other, or may have read what the other one changed. The database
then ends one of them. That transaction has written nothing, and needs only to run again. At the
isolation levels REPEATABLE READ and SERIALIZABLE, this is an ordinary event, and happens to single
statements too.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connections, transaction

__all__ = ["in_transaction", "is_conflict", "tried_again"]

T = TypeVar("T")

#: The time after which a write that loses again and again is no longer tried again, in seconds.
PATIENCE = 30.0

#: The first pause between two attempts, and the longest, in seconds.
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0

#: SQLSTATE of PostgreSQL: serialization failure, deadlock, and a lock that was not given in time.
_POSTGRESQL = {"40001", "40P01", "55P03"}

#: Error numbers of MySQL and MariaDB: a lock that was not given in time, and a deadlock.
_MYSQL = {1205, 1213}

#: The messages of SQLite if another connection writes.
_SQLITE = ("database is locked", "database table is locked")


def is_conflict(error: BaseException) -> bool:
    """Return whether a database ended a transaction for another one, so that it should run again.

    A deadlock and a failed serialization are conflicts. A database that is down is none.
    """
    if not isinstance(error, OperationalError):
        return False
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if state is not None:
        return state in _POSTGRESQL
    number = error.args[0] if error.args else None
    return number in _MYSQL or str(error).startswith(_SQLITE)


def tried_again(write: Callable[[], T], using: str) -> T:
    """Write, and do so again after each conflict with another transaction, for a limited time.

    Within a transaction of the caller's, a conflict is raised at once, since it has undone what
    the caller wrote before.

    Args:
        write: writes in one statement or in one transaction; its last result is returned.
        using: the alias of the database.
    """
    began, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        try:
            return write()
        except OperationalError as error:
            lost = is_conflict(error) and not connections[using].in_atomic_block
            if not lost or time.monotonic() - began > PATIENCE:
                raise
        # Pauses of different lengths keep the same transactions from meeting again.
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
        pause = min(2 * pause, _LONGEST_PAUSE)


def in_transaction(write: Callable[[], T], using: str, *, savepoint: bool = True) -> T:
    """Write in one transaction, and do so again after each conflict with another transaction.

    Args:
        write: writes everything or nothing. It may run several times, so it should read what it
            depends on itself.
        using: the alias of the database.
        savepoint: whether to use a savepoint within a transaction of the caller's.
    """

    def attempt() -> T:
        with transaction.atomic(using=using, savepoint=savepoint):
            return write()

    return tried_again(attempt, using)
