"""Measures what searches find in content of 500 dense subjects, before and after `optimize` chose.

Run with ``python -m benchmarks.recall``. The vectors are those of the benchmarks' own embedding
backend, in which each text is near one of 500 subjects, as texts made from templates are.
PostgreSQL is the server in DATABASE_URL, or one that the benchmark starts; Qdrant and Weaviate
are measured on the servers in QDRANT_URL and WEAVIATE_URL, with the port of gRPC in
WEAVIATE_GRPC_PORT. RECALL_RECORDS is the number of records, RECALL_BACKENDS the names of the
backends.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.measure import GOAL_MISSED, VERDICTS, isolated
from benchmarks.pgvector_backend import server

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = int(os.environ.get("RECALL_RECORDS") or (60_000 if QUICK else 300_000))
NAMES = os.environ.get("RECALL_BACKENDS", "pgvector usearch qdrant weaviate").split()
QUERIES = 50 if QUICK else 200
DIMENSIONS = 384
LIMIT = 10
BATCH = 5_000
GOAL = 0.98
#: The subjects that the filter keeps; the queries with a filter are about the others.
KEPT_FROM = 50 if QUICK else 200

HEADER = """
### Recall of {name}, {count:,} × {dimensions} in 500 subjects

| searches | setting | recall@10 | queries under one half | a search | goal | | |
|---|---|---|---|---|---|---|---|"""


def run() -> bool:
    """Print a table for each backend, and return whether all goals are met."""
    met = True
    for name in NAMES:
        with place(name) as given:
            if given is not None:
                lines, fine = isolated(measured, name, given)
                met &= fine
                title = HEADER.format(name=name, count=COUNT, dimensions=DIMENSIONS)
                print("\n".join([title, *lines]), flush=True)
    return met


@contextmanager
def place(name: str) -> Iterator[dict[str, Any] | None]:
    """Yield the options of a backend, or None if its service is not named."""
    if name == "pgvector":
        with server() as url:
            yield {"database": url}
    elif name == "usearch":
        yield {}
    else:
        host = os.environ.get(f"{name.upper()}_URL")
        port = os.environ.get(f"{name.upper()}_GRPC_PORT")
        yield {"host": host, **({"grpc_port": int(port)} if port else {})} if host else None


def measured(name: str, given: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the lines of a backend's table, and whether its goals are met."""
    backend = backend_of(name, given)
    from django.db.models import Q

    from wagtail_vector_index.contract import CollectionSpec

    spec = CollectionSpec(name="recall", dimensions=DIMENSIONS, fields={"subject": "int"})
    vectors, subjects = texts(range(COUNT))
    fill(backend, spec, vectors, subjects)
    started = time.perf_counter()
    backend._optimize(spec)
    built = time.perf_counter() - started
    first = spec.searched_with(backend._search_settings(spec)[0])
    backend._use_setting(spec, first.setting)
    cases = []
    for title, keep in (
        ("without a filter", None),
        ("filter keeps {:.0%}, none of them near", Q(subject__gte=KEPT_FROM)),
    ):
        queries, kept = questions(vectors, subjects, filtered=keep is not None)
        what, right = title.format(kept.mean()), nearest(vectors, queries, kept)

        def plain(query: Any, keep: Any = keep) -> Any:
            from wagtail_vector_index.contract import parse_filter

            node = parse_filter(keep, spec.fields)
            return backend._search(first, memoryview(query), LIMIT, node, None)

        def ours(query: Any, keep: Any = keep) -> Any:
            return backend.search(spec, query, limit=LIMIT, filter=keep)

        before, _, _ = line(f"{what}, as it was", shown(first.setting), plain, queries, right)
        cases.append((before, what, ours, queries, right))
    started = time.perf_counter()
    recall = backend.measure(spec)
    assert recall is not None, f"{name} searches {COUNT:,} records exactly"
    note = f"index {built:.0f} s, measuring {time.perf_counter() - started:.0f} s: {recall}"
    lines = []
    fine = True
    for before, what, ours, queries, right in cases:
        text, mean, poor = line(what, shown(recall.setting), ours, queries, right)
        met = mean >= GOAL and not poor
        fine &= met
        goal = f"≥ {GOAL:g}, none under one half"
        lines += [f"{before} | | |", f"{text} {goal} | {VERDICTS[met]} | {note} |"]
        note = ""
    backend.drop(spec)
    backend.close()
    return lines, fine


def line(
    what: str, setting: str, search: Any, queries: Any, right: Sequence[Sequence[float]]
) -> tuple[str, float, int]:
    """Return a line of the table, its recall, and how many queries find less than half."""
    from wagtail_vector_index.contract.recall import share_found

    shares, seconds = [], []
    for query, scores in zip(queries, right, strict=True):
        started = time.perf_counter()
        found = search(query)
        seconds.append(time.perf_counter() - started)
        best = sorted((match.score for match in found), reverse=True)[:LIMIT]
        shares.append(share_found(best, scores))
    mean, poor = statistics.mean(shares), sum(share < 0.5 for share in shares)
    milliseconds = 1e3 * statistics.median(seconds)
    text = f"| {what} | {setting} | {mean:.3f} | {poor} of {len(shares)} | {milliseconds:.1f} ms |"
    return text, mean, poor


def questions(vectors: Any, subjects: Any, *, filtered: bool) -> tuple[Any, Any]:
    """Return query vectors, half of them stored ones, and a mask of the records that are kept."""
    import numpy as np

    kept = subjects >= KEPT_FROM if filtered else np.ones(len(subjects), bool)
    others, about = texts(range(COUNT, COUNT + 20 * QUERIES))
    rows = np.arange(COUNT)
    if filtered:
        rows, others = rows[~kept], others[about < KEPT_FROM]
    half = QUERIES // 2
    stored = np.random.default_rng(1).choice(rows, half, replace=False)
    return np.concatenate([vectors[stored], others[: QUERIES - half]]), kept


def nearest(vectors: Any, queries: Any, kept: Any) -> list[list[float]]:
    """Return the scores of the nearest of the kept records to each query."""
    import numpy as np

    best = []
    for query in queries:
        scores = np.where(kept, vectors @ query, -np.inf)
        top = np.sort(np.partition(scores, -LIMIT)[-LIMIT:])[::-1]
        best.append(top.tolist())
    return best


def texts(numbers: range) -> tuple[Any, Any]:
    """Return the unit vectors of numbered texts, and the subject of each."""
    import hashlib

    import numpy as np

    from benchmarks.website.embeddings import SUBJECTS, HashEmbeddings

    model = HashEmbeddings("default", HashEmbeddings.Options(dimensions=DIMENSIONS))
    written = [f"Text number {number} about something" for number in numbers]
    parts = [
        np.asarray(model.embed(written[start : start + BATCH])).reshape(-1, DIMENSIONS)
        for start in range(0, len(written), BATCH)
    ]
    vectors = np.concatenate(parts)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    digests = (hashlib.shake_128(text.encode()).digest(2) for text in written)
    return vectors, np.array([(one[0] + 256 * one[1]) % SUBJECTS for one in digests])


def fill(backend: Any, spec: Any, vectors: Any, subjects: Any) -> None:
    """Write all records into an empty collection."""
    from wagtail_vector_index.backends.base import RecordBatch

    backend.drop(spec)
    backend.create(spec)
    for start in range(0, len(vectors), BATCH):
        rows = range(start, min(start + BATCH, len(vectors)))
        batch = RecordBatch(
            ids=b"".join(row.to_bytes(16, "big") for row in rows),
            vectors=vectors[start : rows.stop].tobytes(),
            metadata=[f'{{"subject":{subjects[row]}}}' for row in rows],
            dimensions=DIMENSIONS,
            checked=True,
        )
        backend.upsert(spec, batch)


def backend_of(name: str, given: dict[str, Any]) -> Any:
    """Return a backend with the default options, but for the time that its calls may take."""
    if name == "pgvector":
        from benchmarks.pgvector_backend import backend_of as pgvector
        from benchmarks.pgvector_backend import django_on

        django_on(given["database"], peers=())
        return pgvector(maintenance_work_mem="1GB")
    import django
    from django.conf import settings

    settings.configure(USE_TZ=True)
    django.setup()
    if name == "usearch":
        from usearch_wagtail_vectors.backend import UsearchBackend as Backend
    elif name == "qdrant":
        from wagtail_vector_index.backends.qdrant import QdrantBackend as Backend
    else:
        from wagtail_vector_index.backends.weaviate import WeaviateBackend as Backend
    options = {} if name == "usearch" else {**given, "timeout": 60, "write_timeout": 600}
    return Backend("default", Backend.Options(**options))


def shown(setting: Any) -> str:
    """Return a setting as text."""
    return ", ".join(f"{name} {value:g}" for name, value in setting.items())


if __name__ == "__main__":
    raise SystemExit(0 if run() else GOAL_MISSED)
