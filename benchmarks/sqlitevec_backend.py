"""Compares the smallest example of a third-party backend, sqlite-vec, with the NumPy backend.

Run with ``python -m benchmarks.sqlitevec_backend``. Both search exactly, so the vectors are random.
The file is in the page cache of the system, as it is on a site that is searched often.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, isolated, paired, print_table, resident, size, verdict

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNTS = (1_000, 2_000) if QUICK else (10_000, 100_000)
DIMENSIONS = 384
QUERIES = 20
LIMIT = 10
#: The size of the batches in which core writes a collection.
BATCH = 500


def run() -> dict[str, list[Row]]:
    """Return all tables, by title. Each measurement has a process of its own."""
    tables = {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory(prefix="wvi-") as folder:
            path = str(Path(folder, "vectors.sqlite3"))
            written = isolated(filled, "sqlitevec", path, count)
            numpy = isolated(filled, "numpy", path, count)
            tables[f"sqlite-vec beside NumPy, {count:,} × {DIMENSIONS}"] = [
                Row(
                    what="write all records",
                    ours=f"{written['seconds']:.3g} s",
                    other=f"NumPy: {numpy['seconds']:.3g} s",
                    ratio=written["seconds"] / numpy["seconds"],
                    note="once for all processes; NumPy: in each process",
                ),
                Row(
                    what="resident after it",
                    ours=size(written["resident"]),
                    other=f"NumPy: {size(numpy['resident'])}",
                    ratio=written["resident"] / numpy["resident"],
                    note=f"file: {size(Path(path).stat().st_size)}",
                ),
                *isolated(search_rows, path, count),
            ]
    return tables


def filled(name: str, path: str, count: int) -> dict[str, float]:
    """Measure the time to write a collection, and the memory that the process then uses."""
    backend, spec = _backend(name, path)
    gc.collect()
    before, began = resident(), time.perf_counter()
    _fill(backend, spec, count)
    ended = time.perf_counter()
    gc.collect()
    return {"seconds": ended - began, "resident": resident() - before}


def search_rows(path: str, count: int) -> list[Row]:
    """Measure the time of searches, with and without filters, which must find the same."""
    from django.db.models import Q

    (sqlitevec, spec), (numpy, _) = _backend("sqlitevec", path), _backend("numpy", path)
    _fill(numpy, spec, count)
    queries = _vectors(seed=1, count=QUERIES)
    rows = []
    for what, keep in (
        ("without a filter", None),
        ("filter keeps 50%", Q(part__lt=50)),
        ("filter keeps 10%", Q(part__lt=10)),
        ("filter keeps 1%", Q(part=3)),
    ):

        def search(turn: int, backend: Any, keep: Any = keep) -> list[Any]:
            found = backend.search(spec, queries[turn % QUERIES], limit=LIMIT, filter=keep)
            return [match.id for match in found]

        assert search(0, sqlitevec) == search(0, numpy), "they do not find the same"
        times = paired(
            lambda turn, search=search: search(turn, sqlitevec),
            lambda turn, search=search: search(turn, numpy),
            repeats=5 if QUICK else 21,
        )
        rows.append(times.row(f"search, {what}", "NumPy"))
    return rows


def _backend(name: str, path: str) -> tuple[Any, Any]:
    """Return a backend, and a collection of it."""
    from wagtail_vector_index.backends.base import CollectionSpec

    spec = CollectionSpec(name="benchmark", dimensions=DIMENSIONS, fields={"part": "int"})
    if name == "numpy":
        from wagtail_vector_index.backends.numpy import NumpyBackend

        backend: Any = NumpyBackend("default", NumpyBackend.Options())
    else:
        from sqlitevec_wagtail_vectors.backend import SqliteVecBackend

        backend = SqliteVecBackend("default", SqliteVecBackend.Options(path=path))
    backend.create(spec)
    return backend, spec


def _fill(backend: Any, spec: Any, count: int) -> None:
    from wagtail_vector_index.backends.base import RecordBatch

    for start in range(0, count, BATCH):
        rows = range(start, min(start + BATCH, count))
        batch = RecordBatch(
            ids=b"".join(row.to_bytes(16, "big") for row in rows),
            vectors=_vectors(seed=-start, count=len(rows)).reshape(-1).data,
            metadata=[
                f'{{"object":"blog.page:{row // 4}","part":{row * 7919 % 100},'
                f'"title":"A page about things, number {row}"}}'
                for row in rows
            ],
            dimensions=DIMENSIONS,
            checked=True,
        )
        backend.upsert(spec, batch)


def _vectors(*, seed: int, count: int) -> Any:
    import numpy as np

    random = np.random.default_rng([seed < 0, abs(seed)])
    return random.standard_normal((count, DIMENSIONS), np.float32)


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
