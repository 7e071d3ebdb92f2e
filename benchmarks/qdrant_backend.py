"""Compares the Qdrant backend with bare calls of qdrant-client, on one server or test double.

Run with ``python -m benchmarks.qdrant_backend``. It uses the server in QDRANT_URL, or else the
tests' double. With the double, the benchmark measures our code and not Qdrant, since the time of
the double is subtracted from both sides.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from benchmarks.measure import ROOT, Paired, Row, isolated, paired, print_table, verdict
from benchmarks.numpy_backend import FIELDS, LIMIT, QUERIES, _metadata

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = 4_000 if QUICK else 20_000
LOADS = 2 if QUICK else 3
REPEATS = 11 if QUICK else 21
DIMENSIONS = 384

#: The goals: the most seconds of a search beyond the bare call, and the ratio of a bulk load.
MOST_ABOVE = 0.001
MOST_OF_A_LOAD = 1.15


def run() -> dict[str, list[Row]]:
    """Return all tables, by title."""
    with server() as (url, name):
        return {f"Qdrant backend, on {name}": isolated(rows, url)}


def rows(url: str) -> list[Row]:
    """Measure a bulk load, then searches."""
    warnings.simplefilter("ignore", UserWarning)
    backend, client = backend_of(url), client_of(url)
    batch = batch_of(vectors(COUNT, 0))
    measured = [load_row(backend, client, batch)]
    measured += search_rows(backend, client)
    for name in ("ours", "bare"):
        backend.drop(spec_of(name))
    return measured


def load_row(backend: Any, client: Any, batch: Any) -> Row:
    """Measure a load beside the same requests, made of lists that exist already."""
    from wagtail_vector_index.backends.qdrant.points import payload, requests_of

    ours, bare = spec_of("ours"), spec_of("bare")
    options = backend.options
    parts = [
        (
            [str(id) for id in part.uuids],
            matrix_of(part).tolist(),
            [payload(bare, text) for text in part.metadata],
        )
        for part in requests_of(batch, options.batch_size, options.batch_bytes)
    ]
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(LOADS):
        both = [(ours, taken[0]), (bare, taken[1])]
        for spec, seconds in both if turn % 2 else reversed(both):
            backend.drop(spec)
            backend.create(spec)
            started = time.perf_counter()
            if spec is ours:
                backend.upsert(spec, batch)
            else:
                load_bare(client, spec, parts, options.concurrency)
            seconds.append(time.perf_counter() - started)
    assert backend.count(ours) == backend.count(bare) == COUNT
    return Paired(ours=taken[0], other=taken[1]).row(
        f"load, {COUNT:,} × {DIMENSIONS}",
        "the same client.upsert() calls",
        at_most=MOST_OF_A_LOAD,
        note=f"{COUNT / statistics.median(taken[0]):,.0f} records/s",
    )


def load_bare(client: Any, spec: Any, parts: Any, concurrency: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from qdrant_client import models

    from wagtail_vector_index.backends.qdrant.naming import vector_name

    name = vector_name(spec)

    def send(part: Any) -> None:
        ids, vectors, payloads = part
        points = models.Batch(ids=ids, vectors={name: vectors}, payloads=payloads)
        client.upsert(f"wvi__{spec.name}", points, wait=True)

    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(send, parts))


def search_rows(backend: Any, client: Any) -> list[Row]:
    """Measure a search beside the same calls, and the time that it spends outside them."""
    from django.db.models import Q
    from qdrant_client import models

    from wagtail_vector_index.backends.qdrant.naming import vector_name
    from wagtail_vector_index.backends.qdrant.searching import BEYOND

    spec = spec_of("ours")
    asked = vectors(QUERIES, 1)
    lists = asked.tolist()
    part = models.FieldCondition(key="f_part", match=models.MatchValue(value=3))
    found = []
    for what, ours_filter, bare_filter in (
        ("without a filter", None, None),
        ("filter keeps 10%", Q(part=3), models.Filter(must=[part])),
    ):

        def ours(turn: int, keep: Any = ours_filter) -> None:
            assert len(backend.search(spec, asked[turn % QUERIES], limit=LIMIT, filter=keep)) == 10

        def bare(turn: int, keep: Any = bare_filter) -> None:
            if keep is not None:
                client.count("wvi__ours", count_filter=keep, exact=True)
            client.query_points(
                "wvi__ours",
                query=lists[turn % QUERIES],
                using=vector_name(spec),
                query_filter=keep,
                search_params=models.SearchParams(exact=keep is not None),
                limit=LIMIT + BEYOND,
                with_payload=False,
            )

        times = paired(ours, bare, repeats=REPEATS)
        above = [seconds_of_ours(backend, ours, turn) for turn in range(REPEATS)]
        found += [
            times.row(f"search, {what}, {COUNT:,} × {DIMENSIONS}", "the same calls"),
            Paired(ours=above, other=[MOST_ABOVE] * len(above)).row(
                f"our part of a search, {what}", "the goal", at_most=1.0
            ),
        ]
    return found


def seconds_of_ours(backend: Any, search: Callable[[int], None], turn: int) -> float:
    """Measure the time of a search, and the part spent in the client's methods."""
    client = backend._service._clients.sync().client
    inside = []

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return method(**arguments)
            finally:
                inside.append(time.perf_counter() - started)

        return call

    names = ("query_points", "count")
    for name in names:
        setattr(client, name, timed(getattr(client, name)))
    started = time.perf_counter()
    search(turn)
    taken = time.perf_counter() - started
    for name in names:
        delattr(client, name)
    return taken - sum(inside)


@contextmanager
def server() -> Iterator[tuple[str, str]]:
    """Yield the URL of a server and its description. The double runs in a process of its own."""
    if url := os.environ.get("QDRANT_URL"):
        version = backend_of(url).health().details["server"]
        yield url, f"a server of {version}"
        return
    command = [sys.executable, "-m", "benchmarks.qdrant_backend", "--double"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), "the tests' double"
        process.communicate()


def serve_double() -> None:
    """Run the double until standard input ends."""
    from plugins.qdrant_backend.tests.double import running_double

    with running_double() as running:
        print(running.url, flush=True)
        sys.stdin.read()


def backend_of(url: str) -> Any:
    from wagtail_vector_index.backends.qdrant import QdrantBackend

    key = os.environ.get("QDRANT_API_KEY", "")
    return QdrantBackend("default", QdrantBackend.Options(host=url, api_key=key, timeout=120))


def client_of(url: str) -> Any:
    import httpx
    from qdrant_client import QdrantClient

    return QdrantClient(
        url=url,
        api_key=os.environ.get("QDRANT_API_KEY"),
        timeout=120,
        check_compatibility=False,
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
    )


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


def matrix_of(batch: Any) -> Any:
    import numpy as np

    return np.frombuffer(batch.vectors, np.float32).reshape(len(batch), batch.dimensions)


def vectors(count: int, seed: int) -> Any:
    import numpy as np

    return np.random.default_rng(seed).standard_normal((count, DIMENSIONS), np.float32)


if __name__ == "__main__":
    if "--double" in sys.argv:
        serve_double()
    else:
        met = [print_table(title, table) for title, table in run().items()]
        raise SystemExit(verdict(met))
