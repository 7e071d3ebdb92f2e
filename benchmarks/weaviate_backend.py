"""Compares the Weaviate backend with bare calls of its client, on one server.

Run with ``python -m benchmarks.weaviate_backend``. It uses the server in WEAVIATE_URL, where it
creates two collections and drops them. Without this variable, it starts the tests' double.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from benchmarks.measure import ROOT, Paired, Row, isolated, paired, print_table, verdict
from benchmarks.numpy_backend import FIELDS, LIMIT, QUERIES, _metadata

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = 2_000 if QUICK else 20_000
LOADS = 3 if QUICK else 5
DIMENSIONS = 384
BATCH = 500
CONCURRENCY = 4

#: The most seconds that a search through the backend may take beyond a bare search.
SEARCH_OVERHEAD = 0.001


def run() -> dict[str, list[Row]]:
    """Return all tables, by title."""
    with server() as (options, name):
        return {
            f"Weaviate backend, on {name}: load": isolated(load_rows, options),
            f"Weaviate backend, on {name}: search": isolated(search_rows, options),
        }


def load_rows(options: dict[str, Any]) -> list[Row]:
    """Measure a bulk load beside the client's own insertion of the same objects."""
    django_on()
    from weaviate.classes.data import DataObject

    from wagtail_vector_index.backends.weaviate.schema import VECTOR

    backend, ours, theirs = backend_of(options), spec_of("ours"), spec_of("bare")
    matrix = vectors(COUNT, 0)
    batch = batch_of(matrix)
    texts = _metadata(range(COUNT))
    objects = [
        DataObject(
            uuid=UUID(int=row),
            properties={"metadata": texts[row], "part": row},
            vector={VECTOR: vector},
        )
        for row, vector in enumerate(matrix.tolist())
    ]
    parts = [objects[start : start + BATCH] for start in range(0, COUNT, BATCH)]
    taken: tuple[list[float], list[float]] = ([], [])
    with bare(options) as client:
        for _ in range(LOADS):
            for spec, seconds in zip((ours, theirs), taken, strict=True):
                backend.drop(spec)
                backend.create(spec)
                collection = client.collections.use(f"Wagtail_{spec.name}")
                started = time.perf_counter()
                if spec is ours:
                    backend.upsert(spec, batch)
                else:
                    with ThreadPoolExecutor(CONCURRENCY) as pool:
                        list(pool.map(collection.data.insert_many, parts))
                seconds.append(time.perf_counter() - started)
    assert backend.count(ours) == backend.count(theirs) == COUNT
    rate = f"{COUNT / statistics.median(taken[0]):,.0f} records/s"
    backend.drop(theirs)
    backend.close()
    return [
        Paired(ours=taken[0], other=taken[1]).row(
            f"load, {COUNT:,} × {DIMENSIONS}",
            f"insert_many, {CONCURRENCY} × {BATCH} at once",
            at_most=1.15,
            note=rate,
        )
    ]


def search_rows(options: dict[str, Any]) -> list[Row]:
    """Measure a search beside the client's own search of as many records."""
    django_on()
    from django.db.models import Q
    from weaviate.classes.query import Filter, MetadataQuery

    backend, spec = backend_of(options), spec_of("ours")
    asked = vectors(QUERIES, 1)
    as_lists = asked.tolist()
    filters = {
        "without a filter": (None, None),
        "filter keeps 10%": (Q(part=3), Filter.by_property("f_part").equal(3)),
    }
    rows = []
    with bare(options) as client:
        collection = client.collections.use("Wagtail_ours")
        for what, (keep, bare_filter) in filters.items():

            def ours(turn: int, keep: Any = keep) -> object:
                return backend.search(spec, asked[turn % QUERIES], limit=LIMIT, filter=keep)

            def theirs(turn: int, keep: Any = bare_filter) -> object:
                return collection.query.near_vector(
                    as_lists[turn % QUERIES],
                    limit=LIMIT,
                    filters=keep,
                    return_metadata=MetadataQuery(distance=True),
                    return_properties=[],
                )

            assert len(ours(0)) == len(theirs(0).objects) == LIMIT  # type: ignore[arg-type, attr-defined]
            found = paired(ours, theirs, repeats=21 if QUICK else 101, warm_up=10)
            # Only the fastest tenths are compared, since the server's own time varies by more than
            # the difference to measure.
            overhead = fastest(found.ours) - fastest(found.other)
            name = f"search, {what}, {COUNT:,} × {DIMENSIONS}"
            rows += [
                found.row(name, "near_vector of the client"),
                Row(
                    what=f"{name}: above a bare call",
                    ours=f"{1_000 * overhead:.2f} ms",
                    other=f"{1_000 * SEARCH_OVERHEAD:g} ms",
                    ratio=overhead / SEARCH_OVERHEAD,
                    at_most=1.0,
                ),
            ]
    backend.drop(spec)
    backend.close()
    return rows


def fastest(seconds: Sequence[float]) -> float:
    """Return the time within which a tenth of all turns ended."""
    return statistics.quantiles(seconds, n=10)[0]


@contextmanager
def server() -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the options of a backend for a running server, and the server's description."""
    sys.path.insert(0, str(ROOT / "plugins" / "weaviate_backend" / "tests"))
    import weaviate_servers as servers

    if os.environ.get("WEAVIATE_URL"):
        with servers.real_server() as found:
            backend = backend_of(found.options)
            version = backend.health().details["weaviate"]
            backend.close()
            yield found.options, f"a server of {version}"
    else:
        with servers.double() as double:
            yield double.options, "the tests' double"


@contextmanager
def bare(options: dict[str, Any]) -> Iterator[Any]:
    """Yield the client, connected without the backend."""
    from wagtail_vector_index.backends.weaviate.endpoints import Endpoints
    from wagtail_vector_index.backends.weaviate.protocol import weaviate

    to = Endpoints.of(options["host"], grpc_port=options.get("grpc_port"))
    client = weaviate.connect_to_custom(
        to.http_host, to.http_port, to.http_secure, to.grpc_host, to.grpc_port, to.grpc_secure,
        auth_credentials=options.get("api_key") or None, skip_init_checks=True,
    )  # fmt: skip
    with client:
        yield client


def django_on() -> None:
    """Set up Django, which filters need."""
    from django.conf import settings

    settings.configure(USE_TZ=True)


def backend_of(options: dict[str, Any]) -> Any:
    from wagtail_vector_index.backends.weaviate import WeaviateBackend

    given = WeaviateBackend.Options(
        **options, timeout=60, batch_size=BATCH, concurrency=CONCURRENCY
    )
    return WeaviateBackend("default", given)


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
    import numpy as np

    return np.random.default_rng(seed).standard_normal((count, DIMENSIONS), np.float32)


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
