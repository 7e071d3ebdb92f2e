"""Databases that several processes share."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest

from tests.sharing import folder_of_run, shared

__all__ = ["database", "new_database", "new_postgresql_database", "shared_database"]

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


@pytest.fixture(scope="session")
def shared_database(request, tmp_path_factory, postgres):
    """Return the environment variables for a database that all workers of the run share.

    Call it with a name and a function that fills the database of such variables.
    """
    folder = folder_of_run(request.config, tmp_path_factory)

    def made(fill):
        environment = create_database(postgres)
        fill(environment)
        return environment

    with ExitStack() as stack:
        yield lambda name, fill: stack.enter_context(
            shared(folder, name, lambda: made(fill), lambda made: drop_database(postgres, made))
        )


@contextmanager
def new_database(postgres, *, like=None):
    """Yield the environment variables for a new database in a server.

    ``like`` are those of a database to copy, to which no process may be connected.
    """
    environment = create_database(postgres, like=like)
    yield environment
    drop_database(postgres, environment)


def create_database(postgres, *, like=None):
    name = f"test_{os.getpid()}_{next(_numbers)}"
    template = name_of(like) if like else "template1"
    with session(postgres) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    with session({**postgres, "NAME": name}) as inside:
        inside.execute("CREATE EXTENSION IF NOT EXISTS vector")
    return {"TEST_DATABASE_SETTINGS": json.dumps({**postgres, "NAME": name})}


def drop_database(postgres, environment):
    with session(postgres) as connection:
        connection.execute(f'DROP DATABASE "{name_of(environment)}" WITH (FORCE)')


def name_of(environment):
    return json.loads(environment["TEST_DATABASE_SETTINGS"])["NAME"]


def session(database):
    """A session of psycopg's own, in autocommit."""
    import psycopg

    return psycopg.connect(
        dbname=database["NAME"],
        user=database["USER"],
        password=database["PASSWORD"],
        host=database["HOST"],
        port=database["PORT"] or None,
        autocommit=True,
        **database["OPTIONS"],
    )
