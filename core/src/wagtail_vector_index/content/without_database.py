"""Keeps declarations from asking a database at times when none may be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

_WAYS = ("connect", "cursor", "chunked_cursor")


class DatabaseAsked(Exception):
    """Raised where code asks a database, although none may be asked."""


@contextmanager
def without_database() -> Iterator[None]:
    """Run a block in which this thread asks no database. Nothing is connected, either.

    Django starts apps and runs most checks before a database has to exist. An index whose
    ``get_querysets`` asks for a ``Site``, say, cannot be read then.

    Raises:
        DatabaseAsked: the block asks a database, even if it then raises another error.
    """
    attempts: list[str] = []

    def refuse(alias: str) -> Callable[..., Any]:
        def refused(*args: Any, **kwargs: Any) -> Any:
            attempts.append(alias)
            raise DatabaseAsked(f"The database {alias!r} was asked.")

        return refused

    before = []
    for connection in connections.all():
        before.append(
            (connection, {n: vars(connection)[n] for n in _WAYS if n in vars(connection)})
        )
        for name in _WAYS:
            setattr(connection, name, refuse(connection.alias))
    failure: Exception | None = None
    try:
        yield
    except Exception as error:  # noqa: BLE001  # raised below, or caused by the refusal
        failure = error
    finally:
        for connection, own in before:
            for name in _WAYS:
                delattr(connection, name)
            vars(connection).update(own)
    if attempts:
        raise DatabaseAsked(f"The database {attempts[0]!r} was asked.") from failure
    if failure is not None:
        raise failure
