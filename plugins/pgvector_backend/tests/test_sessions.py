"""What the session, or the caller's transaction, was like before; and who else is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db import DatabaseError, connections, transaction
from django.db.models import Q

from plugins.pgvector_backend.tests.conftest import (
    add_database,
    batch_of,
    connected,
    indexes,
    other,
)
from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.backends.pgvector import database as database_module
from wagtail_vector_index.backends.pgvector import indexing
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.pgvector.database import Database
from wagtail_vector_index.backends.pgvector.models import VectorTable
from wagtail_vector_index.backends.pgvector.tables import table_name
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendUnavailable,
    CollectionNotFound,
    ConfigurationError,
)

Make = Callable[..., CollectionSpec]
Path = Callable[[str], None]
Operation = Callable[[PgvectorBackend, CollectionSpec], Any]

QUERY = np.ones(8, np.float32)

OPERATIONS: list[Operation] = [
    lambda backend, spec: backend.create(spec),
    lambda backend, spec: backend.search(spec, QUERY),
    lambda backend, spec: backend.count(spec),
    lambda backend, spec: backend.upsert(spec, batch_of(1, 8)),
    lambda backend, spec: backend.drop(spec),
    lambda backend, spec: backend.optimize(spec),
]


def query(alias: str, statement: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def execute(alias: str, *statements: str) -> None:
    with connections[alias].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


# Schemas


@pytest.fixture
def tenant(alias: str) -> Iterator[str]:
    """A schema with a registry of its own."""
    name = f"Tenant {uuid4().hex}"
    execute(
        alias,
        f'CREATE SCHEMA "{name}"',
        f'CREATE TABLE "{name}".wvi_pgvector_table (LIKE public.wvi_pgvector_table INCLUDING ALL)',
    )
    yield name
    connections[alias].close()
    execute(alias, f'DROP SCHEMA "{name}" CASCADE')


@pytest.fixture(params=["session", "cursor"])
def path(
    request: pytest.FixtureRequest, alias: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Sets the search path: at once, or each time that Django makes a cursor."""
    connection, make_cursor = connections[alias], connections[alias]._cursor
    wanted = "public"

    def set_first(*arguments: Any) -> Any:
        cursor = make_cursor(*arguments)
        cursor.execute(f"SET search_path = {wanted}")
        return cursor

    def path(schemas: str) -> None:
        nonlocal wanted
        wanted = schemas
        if request.param == "session":
            execute(alias, f"SET search_path = {schemas}")

    if request.param == "cursor":
        monkeypatch.setattr(connection, "_cursor", set_first)
    yield path
    monkeypatch.undo()
    connection.close()


@pytest.mark.parametrize("in_transaction", [False, True])
def test_schemas_have_collections_of_their_own(
    backend: PgvectorBackend, make: Make, alias: str, tenant: str, path: Path, in_transaction: bool
) -> None:
    spec = make(50, fields={"part": "int"})

    def use_tenant() -> None:
        assert backend.collections() == []
        with pytest.raises(CollectionNotFound):
            backend.search(spec, QUERY)
        backend.drop(spec)
        backend.create(spec)
        assert backend.count(spec) == 0
        backend.upsert(spec, batch_of(20, 8))
        backend.optimize(spec)
        assert backend.count(spec, Q(part=1)) == 2
        assert len(backend.search(spec, QUERY)) == 10
        assert backend.collections() == [spec.name]
        backend.drop(spec)

    path(f'"{tenant}", public')
    if in_transaction:
        with transaction.atomic(using=alias):
            use_tenant()
    else:
        use_tenant()
    path("public")
    assert backend.count(spec) == 50
    assert spec.name in backend.collections()


def test_a_schema_without_a_registry_shares_that_of_the_next(
    backend: PgvectorBackend, make: Make, alias: str, tenant: str, path: Path
) -> None:
    spec, new = make(50), CollectionSpec(name=f"t{uuid4().hex[:16]}", dimensions=8)
    execute(alias, f'DROP TABLE "{tenant}".wvi_pgvector_table')
    path(f'"{tenant}", public')
    assert backend.count(spec) == 50
    backend.create(new)
    path("public")
    assert backend.count(new) == 0
    backend.drop(new)


def test_without_any_registry_nothing_is_dropped(
    backend: PgvectorBackend, make: Make, alias: str, tenant: str
) -> None:
    spec = make(50)
    execute(
        alias,
        f'CREATE TABLE "{tenant}".{table_name(spec)} (id int)',
        f'DROP TABLE "{tenant}".wvi_pgvector_table',
        f'SET search_path = "{tenant}"',
    )
    with pytest.raises(ConfigurationError, match="migrate"):
        backend.drop(spec)
    assert query(alias, f"SELECT count(*) FROM {table_name(spec)}") == [(0,)]
    connections[alias].close()


def test_the_extension_in_a_schema_of_an_odd_name(
    backend: PgvectorBackend, make: Make, alias: str
) -> None:
    spec = make(20, fields={"part": "int"})
    execute(alias, 'CREATE SCHEMA "100%s ""odd"""')
    execute(alias, 'ALTER EXTENSION vector SET SCHEMA "100%s ""odd"""')
    try:
        with pytest.raises(BackendError):
            backend.search(spec, QUERY)  # which looks for it where it was
        assert len(backend.search(spec, QUERY, filter=Q(part=1))) == 2
        assert len(backend.search(spec, QUERY)) == 10
        backend.optimize(spec)
        assert len(list(backend.scan(spec))) == 1
        backend.drop(spec)
        backend.create(spec)
    finally:
        execute(alias, "ALTER EXTENSION vector SET SCHEMA public")
        execute(alias, 'DROP SCHEMA "100%s ""odd"""')


# The caller's transaction


@pytest.mark.parametrize("operation", OPERATIONS)
def test_broken_transaction(
    backend: PgvectorBackend, make: Make, alias: str, operation: Operation
) -> None:
    spec = make(10)
    with transaction.atomic(using=alias):
        with pytest.raises(DatabaseError):
            query(alias, "SELECT 1 / 0")
        with pytest.raises(transaction.TransactionManagementError, match=alias):
            operation(backend, spec)
        transaction.set_rollback(True, using=alias)
    assert backend.count(spec) == 10


@pytest.mark.parametrize("operation", OPERATIONS)
def test_transaction_that_is_to_be_rolled_back(
    backend: PgvectorBackend, make: Make, alias: str, operation: Operation
) -> None:
    spec = make(10)
    with transaction.atomic(using=alias):
        transaction.set_rollback(True, using=alias)
        with pytest.raises(transaction.TransactionManagementError, match="'atomic' block"):
            operation(backend, spec)
    assert backend.count(spec) == 10


def test_close_without_autocommit(backend: PgvectorBackend, make: Make, alias: str) -> None:
    spec = make(10)
    transaction.set_autocommit(False, using=alias)
    try:
        backend.upsert(spec, batch_of(20, 8))
        backend.close()
        transaction.commit(using=alias)
    finally:
        transaction.set_autocommit(True, using=alias)
    assert backend.count(spec) == 20
    backend.close()
    assert connections[alias].connection is None
    backend.close()
    assert connections[alias].connection is None


@pytest.mark.parametrize("nested", [False, True])
def test_conflicts_are_tried_again_where_that_helps(
    backend: PgvectorBackend, alias: str, nested: bool
) -> None:
    calls = 0

    def work(cursor: database_module.Cursor) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40P01'; END $$")

    database = Database(alias, 10)
    if nested:
        with transaction.atomic(using=alias), pytest.raises(BackendUnavailable):
            database.write(work)
        assert calls == 1
    else:
        database.write(work)
        assert calls == 3


# Connections that end


def test_a_connection_that_ended_before_is_replaced(
    backend: PgvectorBackend, make: Make, alias: str, server: dict[str, Any], database: str
) -> None:
    spec = make(10)
    for operation in OPERATIONS[:4]:
        backend.count(spec)
        [(pid,)] = query(alias, "SELECT pg_backend_pid()")
        with connected(server, dbname=database) as other:
            # Returns once it is gone.
            assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (
                True,
            )
        operation(backend, spec)
    assert backend.count(spec) == 10


@pytest.fixture
def pooled(alias: str, server: dict[str, Any], database: str) -> Iterator[str]:
    """The same database through Django's pool of connections."""
    pytest.importorskip("psycopg_pool")
    name = f"{alias}_pooled"
    pool = {"min_size": 4, "max_size": 4}
    options = {**server["OPTIONS"], "application_name": name, "pool": pool}
    add_database(name, {**server, "NAME": database, "OPTIONS": options})
    yield name
    connections[name].close()
    connections[name].close_pool()
    del connections[name], connections.settings[name]


@pytest.mark.parametrize("is_held", [False, True])
def test_all_connections_of_a_pool_that_ended_before_are_replaced(
    make: Make, pooled: str, server: dict[str, Any], database: str, is_held: bool
) -> None:
    spec, backend = make(10), other(pooled)
    for operation in OPERATIONS[:4]:
        backend.count(spec)
        connections[pooled].close()
        connections[pooled].pool.wait()
        if is_held:
            backend.count(spec)
        with connected(server, dbname=database) as killer:
            ended = killer.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = %s",
                [pooled],
            )
            assert ended.fetchall() == [(True,)] * 4
        operation(backend, spec)
    assert backend.count(spec) == 10


@pytest.mark.parametrize("deaths", [1, 2])
@pytest.mark.parametrize("kind", ["read", "write", "autocommit"])
def test_a_connection_that_ends_in_the_middle(alias: str, kind: str, deaths: int) -> None:
    """What ran by then is unknown, so it is run again, but only once."""
    database, name = Database(alias, 10), f"t{uuid4().hex[:16]}"
    execute(alias, f"CREATE SEQUENCE {name}")
    suicide = (
        f"SELECT CASE WHEN number <= {deaths} THEN pg_terminate_backend(pg_backend_pid()) END"
        f" FROM nextval('{name}') AS number"
    )
    actions: dict[str, Callable[[], Any]] = {
        "read": lambda: database.read(suicide),
        "write": lambda: database.write(lambda cursor: cursor.execute(suicide)),
        "autocommit": lambda: database.autocommit(suicide),
    }
    if deaths == 1:
        actions[kind]()
    else:
        with pytest.raises(BackendUnavailable):
            actions[kind]()
    connections[alias].close()
    assert query(alias, f"SELECT last_value FROM {name}") == [(2,)]
    execute(alias, f"DROP SEQUENCE {name}")


def test_in_a_transaction_of_the_caller_nothing_is_run_twice(alias: str) -> None:
    database, calls = Database(alias, 10), []

    def work(cursor: database_module.Cursor) -> None:
        calls.append(cursor)
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(BackendUnavailable), transaction.atomic(using=alias):
        database.write(work)
    assert len(calls) == 1


@pytest.fixture
def limited(alias: str) -> Iterator[str]:
    """A connection whose server ends a session whose transaction takes longer than a second."""
    if connections[alias].pg_version < 170_000:
        pytest.skip("this PostgreSQL has no transaction_timeout")
    execute(alias, "SET transaction_timeout = '1s'")
    yield alias
    connections[alias].close()


@pytest.mark.parametrize("in_transaction", [False, True])
def test_the_limit_of_a_transaction_ends_no_build(
    backend: PgvectorBackend,
    make: Make,
    limited: str,
    monkeypatch: pytest.MonkeyPatch,
    in_transaction: bool,
) -> None:
    spec, plan = make(50), indexing.plan

    def slow(cursor: database_module.Cursor, *arguments: Any) -> Any:
        cursor.execute("SELECT pg_sleep(1.2)")
        return plan(cursor, *arguments)

    monkeypatch.setattr(indexing, "plan", slow)
    if in_transaction:
        with transaction.atomic(using=limited):
            backend.optimize(spec)
            assert query(limited, "SHOW transaction_timeout") == [("1s",)]
    else:
        backend.optimize(spec)
    assert query(limited, "SHOW transaction_timeout") == [("1s",)]
    assert len(indexes(limited, spec)) == 1


def test_the_limit_of_a_transaction_is_a_passing_error(
    backend: PgvectorBackend, make: Make, limited: str
) -> None:
    spec = make(10)
    with pytest.raises(BackendUnavailable, match="transaction timeout"):
        Database(limited, 10).read("SELECT pg_sleep(5)")
    assert backend.count(spec) == 10


def test_the_limit_of_an_idle_transaction_is_a_passing_error(alias: str) -> None:
    with pytest.raises(BackendUnavailable):
        Database(alias, 10).read("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '25P03'; END $$")


def test_a_database_that_is_read_only(backend: PgvectorBackend, make: Make, alias: str) -> None:
    """As after a failover, or while a standby is asked."""
    spec = make(10)
    name = connections[alias].settings_dict["NAME"]
    assert backend.health().ok
    execute(alias, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    connections[alias].close()
    try:
        assert len(backend.search(spec, QUERY)) == 10
        health = backend.health()
        assert not health.ok
        assert "It is read-only" in health.message
        for operation in (OPERATIONS[3], OPERATIONS[4], OPERATIONS[5]):
            with pytest.raises(BackendUnavailable, match="read-only"):
                operation(backend, spec)
    finally:
        execute(
            alias,
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {name} RESET default_transaction_read_only",
        )
        connections[alias].close()
    assert backend.count(spec) == 10


# Waiting for each other


@contextmanager
def locked(server: dict[str, Any], database: str, spec: CollectionSpec) -> Iterator[Any]:
    """Another transaction has its turn, as while an index is built."""
    with connected(server, dbname=database) as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [table_name(spec)])
        yield other


WRITES: list[Operation] = [
    lambda backend, spec: backend.upsert(spec, batch_of(20, 8)),
    lambda backend, spec: backend.delete(spec, batch_of(5, 8).uuids),
]


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_writes_wait_longer_than_a_statement_may_take(
    make: Make,
    alias: str,
    server: dict[str, Any],
    database: str,
    operation: Operation,
    in_transaction: bool,
) -> None:
    backend = PgvectorBackend("default", PgvectorBackend.Options(database=alias, timeout=0.05))
    spec = make(10)
    errors: list[BaseException] = []

    def write() -> None:
        try:
            if in_transaction:
                with transaction.atomic(using=alias):
                    operation(backend, spec)
            else:
                operation(backend, spec)
        except BaseException as error:  # noqa: BLE001  # told to the test
            errors.append(error)
        connections.close_all()

    with locked(server, database, spec) as other:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        # Other tests use other databases of the same server.
        waiting = (
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
        )
        assert other.execute(waiting).fetchone() == (1,)
    thread.join(10)
    assert errors == []


def test_writes_do_not_wait_for_ever(
    backend: PgvectorBackend,
    make: Make,
    server: dict[str, Any],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database_module, "LONGEST_WAIT", "20")
    spec = make(10)
    with locked(server, database, spec):
        with pytest.raises(BackendUnavailable, match="lock timeout"):
            backend.upsert(spec, batch_of(5, 8))
        backend.create(spec)
        assert len(backend.search(spec, QUERY)) == 10


def test_registry_is_what_the_orm_reads(backend: PgvectorBackend, make: Make, alias: str) -> None:
    spec = make(fields={"part": "int"})
    table = VectorTable.objects.using(alias).get(name=spec.name)
    assert (table.dimensions, table.metric, table.fields) == (8, "cosine", {"part": "int"})
