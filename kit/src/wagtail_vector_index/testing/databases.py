"""A PostgreSQL database for one run, named by a URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.db import connections

from .harness import new_name

__all__ = ["InvalidDatabaseURL", "database_at", "temporary_database"]


class InvalidDatabaseURL(ValueError):
    """The URL is not that of a PostgreSQL database."""


def database_at(url: str) -> dict[str, Any]:
    """What Django's ``DATABASES`` needs for a URL, whether of TCP or of a socket's folder.

    Raises:
        InvalidDatabaseURL: naming what is wrong, without the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidDatabaseURL("this is not a URL with a number as its port.") from None
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
    """A new, migrated database behind an alias of Django's, which is dropped at the end."""
    connection = connections[alias]
    name = connection.settings_dict["NAME"]
    # Fails early, and with the server's own words, if there is no connection.
    connection.ensure_connection()
    connection.settings_dict["TEST"]["NAME"] = new_name()
    # The name is new, so there is nothing that could be clobbered: it only asks no questions.
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield
    finally:
        # A test that failed may have left threads behind, and a session in use forbids the drop.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        connection.creation.destroy_test_db(name, verbosity=0)
