"""Databases that the processes of one test share."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from itertools import count

import pytest

__all__ = ["database", "new_database", "new_postgresql_database"]

_numbers = count()


@pytest.fixture
def database(request, tmp_path):
    """The environment variables for a new database, "sqlite" or "postgresql"."""
    if request.param == "sqlite":
        return {"TEST_DATABASE": str(tmp_path / "site.sqlite3")}
    return request.getfixturevalue("new_postgresql_database")


@pytest.fixture
def new_postgresql_database(postgres):
    with new_database(postgres) as environment:
        yield environment


@contextmanager
def new_database(postgres, *, like=None):
    """Yield the environment variables for a new database in a server.

    ``like`` are those of a database to copy, to which no process may be connected.
    """
    import psycopg

    name = f"test_{os.getpid()}_{next(_numbers)}"
    server = {
        "dbname": postgres["NAME"],
        "user": postgres["USER"],
        "password": postgres["PASSWORD"],
        "host": postgres["HOST"],
        "port": postgres["PORT"] or None,
        **postgres["OPTIONS"],
    }
    with psycopg.connect(**server, autocommit=True) as connection:
        template = json.loads(like["TEST_DATABASE_SETTINGS"])["NAME"] if like else "template1"
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        with psycopg.connect(**(server | {"dbname": name}), autocommit=True) as inside:
            inside.execute("CREATE EXTENSION IF NOT EXISTS vector")
        yield {"TEST_DATABASE_SETTINGS": json.dumps({**postgres, "NAME": name})}
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
