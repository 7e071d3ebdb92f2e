"""A database of its own for these tests, in a server that is started for them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from django.db import connections

from tests.postgres import postgres
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.pgvector.extension import enable
from wagtail_vector_index.backends.pgvector.models import VectorTable
from wagtail_vector_index.backends.pgvector.tables import table_name

__all__ = ["postgres"]

ALIAS = "pgvector_tests"

#: The fixture `make`.
Make = Callable[..., CollectionSpec]

SETTINGS = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings"


@pytest.fixture(scope="session")
def server(postgres: dict[str, Any]) -> dict[str, Any]:
    """Settings of a server that has the extension."""
    with connected(postgres) as connection:
        known = connection.execute(
            "SELECT FROM pg_available_extensions WHERE name = 'vector'"
        ).fetchall()
    if not known:
        pytest.skip("this PostgreSQL has no pgvector")
    return postgres


@pytest.fixture(scope="session")
def database(server: dict[str, Any]) -> Iterator[str]:
    """The name of an empty database, made for this process."""
    name = f"pgvector_{uuid.uuid4().hex}"
    with connected(server) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield name
    with connected(server) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def alias(server: dict[str, Any], database: str, django_db_blocker: Any) -> Iterator[str]:
    """That database as one of Django's, ready for collections."""
    with django_db_blocker.unblock():
        add_database(ALIAS, {**server, "NAME": database})
        prepare(ALIAS)
        yield ALIAS
        connections[ALIAS].close()
        del connections[ALIAS], connections.settings[ALIAS]


@pytest.fixture(scope="session")
def eager_alias(
    alias: str, server: dict[str, Any], database: str, django_db_blocker: Any
) -> Iterator[str]:
    """The same database, in sessions that use an index wherever they can."""
    eager = f"{alias}_eager"
    options = {**server["OPTIONS"], "options": "-c enable_seqscan=off -c enable_sort=off"}
    with django_db_blocker.unblock():
        add_database(eager, {**server, "NAME": database, "OPTIONS": options})
        yield eager
        connections[eager].close()
        del connections[eager], connections.settings[eager]


def prepare(alias: str) -> None:
    """What the migration does; these tests run without migrations."""
    connection = connections[alias]
    with connection.schema_editor() as editor:
        enable(connection)
        editor.create_model(VectorTable)


def add_database(alias: str, settings: dict[str, Any]) -> None:
    complete = connections.configure_settings({"default": {}, alias: settings})
    connections.settings[alias] = complete[alias]


def connected(server: dict[str, Any], **changed: Any) -> Any:
    """A connection of psycopg's own, in autocommit."""
    import psycopg

    given = {
        "dbname": server["NAME"],
        "user": server["USER"],
        "password": server["PASSWORD"],
        "host": server["HOST"],
        "port": server["PORT"],
        **server["OPTIONS"],
        **changed,
    }
    return psycopg.connect(**{key: value for key, value in given.items() if value}, autocommit=True)


@pytest.fixture
def backend(alias: str) -> PgvectorBackend:
    return PgvectorBackend("default", PgvectorBackend.Options(database=alias))


@pytest.fixture
def make(backend: PgvectorBackend) -> Iterator[Make]:
    """Makes collections under new names, which are dropped after the test."""
    made: list[CollectionSpec] = []

    def make(count: int = 0, **shape: Any) -> CollectionSpec:
        spec = CollectionSpec(name=f"t{uuid.uuid4().hex[:16]}", **({"dimensions": 8} | shape))
        made.append(spec)
        backend.create(spec)
        if count:
            backend.upsert(spec, batch_of(count, spec.dimensions))
        return spec

    yield make
    for spec in made:
        backend.drop(spec)


def batch_of(count: int, dimensions: int, *, seed: int = 0, first: int = 0) -> RecordBatch:
    """Records of the ids ``first``, ``first + 1``, …, with a field ``part`` from 0 to 9."""
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions), np.float32)
    return RecordBatch(
        ids=b"".join(number.to_bytes(16, "big") for number in range(first, first + count)),
        vectors=vectors.tobytes(),
        metadata=[
            f'{{"part":{number % 10},"title":"{number}"}}' for number in range(first, first + count)
        ],
        dimensions=dimensions,
    )


def query(alias: str, statement: str) -> Any:
    """All rows that a statement returns."""
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def other(alias: str, **options: Any) -> PgvectorBackend:
    """A backend with other options on the same database."""
    return PgvectorBackend("default", PgvectorBackend.Options(database=alias, **options))


def indexes(alias: str, spec: CollectionSpec) -> list[str]:
    """What each valid index of a collection was built with."""
    found = query(
        alias,
        "SELECT obj_description(indexrelid, 'pg_class') FROM pg_index"
        f" WHERE indrelid = '{table_name(spec)}'::regclass AND indisvalid"
        " AND obj_description(indexrelid, 'pg_class') IS NOT NULL",
    )
    return [comment for (comment,) in found]
