"""Compares the example of a third-party backend, USearch's HNSW, with the NumPy backend.

Run with ``python -m benchmarks.usearch_backend``. The vectors are WordLlama's, of real text. A
chunk has three sentences from the docstrings of a module in the installed packages, and its
vector is the mean of their vectors. A fixed rotation turns the 256 components into 384, and
keeps all distances.
"""

from __future__ import annotations

import ast
import gc
import mmap
import os
import re
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    Row,
    isolated,
    paired,
    peak_resident,
    print_table,
    resident,
    size,
    verdict,
)

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNTS = (2_000, 10_000) if QUICK else (100_000, 1_000_000)
#: Collections with fewer vectors have no graph. In a quick run, all collections have one.
GRAPH_FROM = 1_000 if QUICK else 50_000
DIMENSIONS = 384
QUERIES = 100 if QUICK else 300
LIMIT = 10
#: The size of the batches in which core loads a collection.
BATCH = 500
SENTENCES = 3
#: From a page with fewer sentences, chunks would be drawn until they were all alike.
FEWEST_SENTENCES = 20
_AT_ONCE = 10_000


def run() -> dict[str, list[Row]]:
    """Return all tables, by title. Each measurement has a process of its own."""
    tables = {}
    with tempfile.TemporaryDirectory(prefix="wvi-") as folder:
        vectors = str(Path(folder, "vectors"))
        isolated(write_vectors, vectors, COUNTS[-1] + QUERIES)
        for count in COUNTS:
            snapshots = Path(folder, f"{count}")
            snapshots.mkdir()
            asked = (vectors, count, str(snapshots))
            tables[f"USearch beside NumPy: start and memory, {count:,} × {DIMENSIONS}"] = (
                start_rows(*asked)
            )
            tables[f"USearch beside NumPy: search, {count:,} × {DIMENSIONS}"] = isolated(
                search_rows, *asked
            )
    return tables


def start_rows(vectors: str, count: int, snapshots: str) -> list[Row]:
    """Measure the time to fill a new process, and the memory that the process then uses."""
    numpy = isolated(started, "numpy", vectors, count, snapshots)
    built = isolated(started, "usearch", vectors, count, snapshots)
    restored = isolated(started_again, snapshots)
    took = [
        Row(
            what=f"load, {what}",
            ours=f"{one['seconds']:.3g} s",
            other=f"NumPy: {numpy['seconds']:.3g} s",
            ratio=one["seconds"] / numpy["seconds"],
            note=f"of which optimize: {one['optimize']:.3g} s",
        )
        for what, one in (("the graph is built", built), ("from the snapshot", restored))
    ]
    snapshot = sum(path.stat().st_size for path in Path(snapshots).iterdir())
    held = [
        Row(
            what=what,
            ours=size(one[which]),
            other=f"NumPy: {size(numpy[which])}",
            ratio=one[which] / numpy[which],
            note=note,
        )
        for what, one, which, note in (
            ("resident after the load", built, "resident", f"snapshot: {size(snapshot)}"),
            ("peak, the graph is built", built, "peak", "and written"),
            ("peak, from the snapshot", restored, "peak", ""),
        )
    ]
    return took + held


def started(name: str, vectors: str, count: int, snapshots: str) -> dict[str, float]:
    """Measure loading a collection as core loads it, optimizing it, and writing a snapshot."""
    backend, spec = _backend(name)
    backend.create(spec)
    gc.collect()
    before, began = resident(), time.perf_counter()
    _fill(backend, spec, vectors, count)
    filled = time.perf_counter()
    backend.optimize(spec)
    ended = time.perf_counter()
    if name == "usearch":
        _write_snapshot(backend, spec, Path(snapshots))
    return {
        "seconds": ended - began,
        "optimize": ended - filled,
        "resident": resident() - before,
        "peak": peak_resident() - before,
    }


def started_again(snapshots: str) -> dict[str, float]:
    """Measure restoring a collection from its snapshot."""
    backend, spec = _backend("usearch")
    gc.collect()
    before, began = resident(), time.perf_counter()
    _restore(backend, spec, Path(snapshots))
    return {
        "seconds": time.perf_counter() - began,
        "optimize": 0.0,
        "resident": resident() - before,
        "peak": peak_resident() - before,
    }


def search_rows(vectors: str, count: int, snapshots: str) -> list[Row]:
    """Measure the recall and the time of searches, with and without filters."""
    import numpy as np
    from django.db.models import Q

    usearch, spec = _backend("usearch")
    _restore(usearch, spec, Path(snapshots))
    numpy, _ = _backend("numpy")
    numpy.create(spec)
    _fill(numpy, spec, vectors, count)
    numpy.optimize(spec)
    asked = np.fromfile(vectors, np.float32, offset=4 * DIMENSIONS * COUNTS[-1])
    queries = asked.reshape(-1, DIMENSIONS)[:QUERIES]
    rows = []
    for what, keep in (
        ("without a filter", None),
        ("filter keeps 50%", Q(part__lt=50)),
        ("filter keeps 10%", Q(part__lt=10)),
        ("filter keeps 1%", Q(part=3)),
    ):
        hits = 0
        for query in queries:
            wanted = {match.id for match in numpy.search(spec, query, limit=LIMIT, filter=keep)}
            found = {match.id for match in usearch.search(spec, query, limit=LIMIT, filter=keep)}
            assert len(found) == len(wanted), "fewer matches than there are"
            hits += len(wanted & found)
        recall = hits / (LIMIT * len(queries))

        def search(turn: int, backend: Any, keep: Any = keep) -> object:
            return backend.search(spec, queries[turn % QUERIES], limit=LIMIT, filter=keep)

        times = paired(
            lambda turn, search=search: search(turn, usearch),
            lambda turn, search=search: search(turn, numpy),
            repeats=11 if QUICK else 51,
        )
        rows.append(times.row(what, "NumPy", note=f"recall@{LIMIT}: {recall:.4f}"))
    return rows


def write_vectors(path: str, count: int) -> dict[str, int]:
    """Write the unit vectors of ``count`` chunks, one after the other, as float32."""
    import numpy as np

    from wagtail_vector_index.embeddings.wordllama import WordLlamaEmbeddings

    model = WordLlamaEmbeddings("default", WordLlamaEmbeddings.Options())
    random = np.random.default_rng(0)
    pages = [page for page in _pages() if len(page) >= FEWEST_SENTENCES]
    sentences = [sentence for page in pages for sentence in page]
    found = np.concatenate(
        [
            np.asarray(model.embed(sentences[start : start + _AT_ONCE])).reshape(-1, 256)
            for start in range(0, len(sentences), _AT_ONCE)
        ]
    )
    rotation = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS)))[0]
    turned = (found @ rotation[: found.shape[1]]).astype(np.float32)
    lengths = np.array([len(page) for page in pages])
    firsts = np.cumsum(lengths) - lengths
    with Path(path).open("wb") as file:
        for start in range(0, count, _AT_ONCE):
            # Longer pages are drawn more often.
            drawn = (
                np.searchsorted(firsts, random.integers(len(turned), size=_AT_ONCE), "right") - 1
            )
            chosen = random.integers(lengths[drawn], size=(SENTENCES, _AT_ONCE)) + firsts[drawn]
            chunks = turned[chosen].sum(axis=0)[: count - start]
            chunks /= np.linalg.norm(chunks, axis=1, keepdims=True)
            chunks.tofile(file)
    return {"pages": len(pages), "sentences": len(sentences)}


def _pages() -> Iterator[list[str]]:
    """Return the different sentences in the docstrings of each module."""
    seen: set[str] = set()
    for folder in (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")):
        for path in sorted(Path(folder).rglob("*.py")):
            try:
                with warnings.catch_warnings(action="ignore"):
                    tree = ast.parse(path.read_bytes())
            except (SyntaxError, ValueError, RecursionError):
                continue
            words = (
                ast.get_docstring(node) or "" for node in ast.walk(tree) if _has_docstring(node)
            )
            sentences = re.split(r"(?<=[.!?])\s+|\n\n", "\n\n".join(words))
            new = dict.fromkeys(" ".join(one.split()) for one in sentences)
            page = [one for one in new if one not in seen and 40 <= len(one) <= 400]
            seen.update(page)
            yield page


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds)


def _backend(name: str) -> tuple[Any, Any]:
    """Return an empty backend with the default options, and a collection to create."""
    from wagtail_vector_index.backends.base import CollectionSpec

    spec = CollectionSpec(name="benchmark", dimensions=DIMENSIONS, fields={"part": "int"})
    if name == "numpy":
        from wagtail_vector_index.backends.numpy import NumpyBackend

        backend: Any = NumpyBackend("default", NumpyBackend.Options())
    else:
        from usearch_wagtail_vectors.backend import UsearchBackend

        backend = UsearchBackend("default", UsearchBackend.Options(graph_from=GRAPH_FROM))
    return backend, spec


def _write_snapshot(backend: Any, spec: Any, folder: Path) -> None:
    """Write each part to a file of its own; core writes one file for all."""
    snapshot = backend.snapshot(spec)
    for name, part in snapshot.parts.items():
        with Path(folder, f"{name} of {snapshot.format}").open("wb") as file:
            file.writelines(part.data)


def _restore(backend: Any, spec: Any, folder: Path) -> None:
    from wagtail_vector_index.contract import Snapshot, SnapshotPart

    parts = {}
    for path in folder.iterdir():
        name, _, format = path.name.partition(" of ")
        with path.open("rb") as file:
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        parts[name] = SnapshotPart(data=[memoryview(whole)])
    backend.restore(spec, Snapshot(format=format, parts=parts))


def _fill(backend: Any, spec: Any, vectors: str, count: int) -> None:
    from wagtail_vector_index.backends.base import RecordBatch

    with Path(vectors).open("rb") as file:
        for start in range(0, count, BATCH):
            rows = range(start, min(start + BATCH, count))
            batch = RecordBatch(
                ids=b"".join(row.to_bytes(16, "big") for row in rows),
                vectors=file.read(4 * DIMENSIONS * len(rows)),
                metadata=[
                    f'{{"object":"blog.page:{row // 4}","part":{row * 7919 % 100},'
                    f'"title":"A page about things, number {row}"}}'
                    for row in rows
                ],
                dimensions=DIMENSIONS,
                checked=True,
            )
            backend.upsert(spec, batch)


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
