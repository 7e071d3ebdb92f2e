"""A PostgreSQL database for one run, on the server of a URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.db import connections

from .harness import new_name

__all__ = ["InvalidDatabaseURL", "database_at", "temporary_database"]


class InvalidDatabaseURL(ValueError):
    """The URL does not name a PostgreSQL database."""


def database_at(url: str) -> dict[str, Any]:
    """Return the entry of Django's ``DATABASES`` for a URL of a host or of a socket's folder.

    Raises:
        InvalidDatabaseURL: the URL is wrong. The error does not repeat the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidDatabaseURL("the port of the URL is not a number.") from None
    if parts.scheme not in ("postgres", "postgresql"):
        raise InvalidDatabaseURL(
            "the URL must begin with postgres:// or postgresql://, as in"
            " postgres://user@localhost:5432/postgres."
        )
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or options.pop("host", ""),
        "PORT": str(port or ""),
        "OPTIONS": options,
    }


@contextmanager
def temporary_database(alias: str) -> Iterator[None]:
    """Make and migrate a database for an alias of Django's, and drop it at the end."""
    connection = connections[alias]
    name = connection.settings_dict["NAME"]
    # Without a connection, this fails early, and with the error of the server.
    connection.ensure_connection()
    connection.settings_dict["TEST"]["NAME"] = new_name()
    # The name is new, so nothing can be overwritten. autoclobber only avoids a question.
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield
    finally:
        # A test that failed may have left a thread with a session, which would prevent the drop.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        connection.creation.destroy_test_db(name, verbosity=0)
