"""Compares searches of the NumPy backend by signs first with its exact searches.

Run with ``python -m benchmarks.numpy_quantization``. The vectors are WordLlama's, of chunks of
real text: the demo's chunks, if `nox -s demo` has made the demo, and the chunks that `chunks`
finds. They have 256 components. A vector of 384 components is a chunk's vector followed by the
first 128 components of the next chunk's vector.
"""

from __future__ import annotations

import gc
import os
import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.chunks import chunks
from benchmarks.demo_site import DATABASE
from benchmarks.measure import Row, isolated, paired, print_table, size, verdict
from benchmarks.numpy_backend import _named
from benchmarks.questions import OTHER_WORDS, SAME_WORDS

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNTS = (60_000,) if QUICK else (100_000, 1_000_000)
SEARCHES = 15 if QUICK else 51
#: Besides questions about the demo, the queries are the first words of chunks that are not in
#: the index.
QUERIES = 20 if QUICK else 156
QUERY_WORDS = 12
RECALL = 0.99
#: The largest size, and the highest ratio to the plain search's time there.
LARGEST, AT_MOST = 1_000_000, 0.25


def run() -> dict[str, list[Row]]:
    """Return one table for each size. Each measurement has a process of its own."""
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        found = isolated(embed, folder, COUNTS[-1])
        print(f"\nEmbedded {found['demo']:,} chunks of the demo, {found['others']:,} others.")
        for count in COUNTS:
            for dimensions in (256, 384):
                rows = []
                for threads in sorted({1, os.cpu_count() or 1}):
                    rows += isolated(rows_of, folder, count, dimensions, threads, threads=threads)
                tables[f"Quantised NumPy backend: {count:,} × {dimensions}"] = rows
    return tables


def embed(folder: str, count: int) -> dict[str, int]:
    """Write the vectors of ``count`` chunks, and of the queries."""
    import numpy as np

    from wagtail_vector_index.embeddings.wordllama import WordLlamaEmbeddings

    model = WordLlamaEmbeddings("benchmark", WordLlamaEmbeddings.Options())
    demo = _of_the_demo()
    texts = list(chunks(count - len(demo) + QUERIES))
    random.Random(0).shuffle(texts)
    asked = [*SAME_WORDS, *OTHER_WORDS]
    asked += [" ".join(text.split()[:QUERY_WORDS]) for text in texts[-QUERIES:]]
    np.save(Path(folder, "queries.npy"), np.reshape(model.embed(asked), (len(asked), -1)))
    found = len(demo) + len(texts) - QUERIES
    if found < count:
        raise SystemExit(f"There are {found:,} chunks on this machine, not {count:,}.")
    vectors = np.empty((count, model.dimensions), np.float32)
    vectors[: len(demo)] = demo
    for start in range(len(demo), count, 1_000):
        part = vectors[start : start + 1_000]
        first = start - len(demo)
        part[:] = np.reshape(model.embed(texts[first : first + len(part)]), part.shape)
    np.random.default_rng(0).shuffle(vectors[: COUNTS[0]])  # mixes the demo's chunks with others
    np.save(Path(folder, "vectors.npy"), vectors)
    return {"demo": len(demo), "others": count - len(demo)}


def rows_of(folder: str, count: int, dimensions: int, threads: int) -> list[Row]:
    """Measure time, recall and memory at one size."""
    from django.db.models import Q

    vectors, queries = (
        _wide(Path(folder, name), rows, dimensions)
        for name, rows in (("vectors.npy", count), ("queries.npy", None))
    )
    plain, spec = _filled("none", vectors)
    quantized, _ = _filled("binary", vectors)
    del vectors
    gc.collect()
    cases: dict[str, tuple[int, Any]] = {
        "search": (10, None),
        "search for 100": (100, None),
        "filter keeps 80%": (10, Q(part__gte=2)),
        "filter keeps 10%": (10, Q(part=3)),
    }
    rows = []
    for what, (limit, keep) in cases.items():
        asked: dict[str, Any] = {"limit": limit, "filter": keep}

        def by_signs(turn: int, asked: Any = asked) -> Any:
            return quantized.search(spec, queries[turn % len(queries)], **asked)

        def exact(turn: int, asked: Any = asked) -> Any:
            return plain.search(spec, queries[turn % len(queries)], **asked)

        is_goal = what == "search" and count == LARGEST
        rows.append(
            paired(by_signs, exact, repeats=SEARCHES).row(
                f"{what}, {_named(threads)}",
                "without quantisation",
                at_most=AT_MOST if is_goal else None,
            )
        )
        if threads == 1:
            rows.append(_recall(what, limit, by_signs, exact, len(queries)))
    if threads == 1:
        rows.append(_memory(plain, quantized))
    return rows


def _recall(what: str, limit: int, by_signs: Any, exact: Any, queries: int) -> Row:
    hits = []
    for turn in range(queries):
        wanted = {match.id for match in exact(turn)}
        hits.append(len(wanted & {match.id for match in by_signs(turn)}) / len(wanted))
    recall = sum(hits) / queries
    return Row(
        what=f"recall@{limit}, {what}",
        ours=f"{recall:.4f}",
        other=f"{RECALL}",
        ratio=RECALL / recall,
        at_most=1.0 if limit == 10 else None,
        note=f"{queries} queries, the worst {min(hits):.2f}",
    )


def _memory(plain: Any, quantized: Any) -> Row:
    ours, other = (int(backend.health().details["bytes"]) for backend in (quantized, plain))
    return Row(
        what="memory of the collection",
        ours=size(ours),
        other=f"without quantisation: {size(other)}",
        ratio=ours / other,
        at_most=1.1,
    )


def _of_the_demo() -> Any:
    import numpy as np

    if not DATABASE.exists():
        return np.empty((0, 256), np.float32)
    database = sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)
    found = database.execute("SELECT vector FROM wvi_embedding").fetchall()
    database.close()
    return np.array([np.frombuffer(vector, np.float32) for (vector,) in found])


def _wide(path: Path, count: int | None, dimensions: int) -> Any:
    """Return the vectors in a file, lengthened with components of the next vectors."""
    import numpy as np

    vectors = np.array(np.load(path, mmap_mode="r")[:count])
    if dimensions <= vectors.shape[1]:
        return vectors
    after = np.roll(vectors[:, : dimensions - vectors.shape[1]], -1, axis=0)
    return np.concatenate([vectors, after], axis=1)


def _filled(quantization: Any, vectors: Any) -> tuple[Any, Any]:
    """Return a backend with these vectors under the ids 0, 1, 2…"""
    from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
    from wagtail_vector_index.backends.numpy import NumpyBackend

    options = NumpyBackend.Options(quantization=quantization)
    backend = NumpyBackend("default", options)
    spec = CollectionSpec(name="benchmark", dimensions=vectors.shape[1], fields={"part": "int"})
    backend.create(spec)
    step = backend.max_batch_records
    for start in range(0, len(vectors), step):
        part = vectors[start : start + step]
        numbers = range(start, start + len(part))
        backend.upsert(
            spec,
            RecordBatch(
                ids=b"".join(number.to_bytes(16, "big") for number in numbers),
                vectors=part.tobytes(),
                metadata=[f'{{"part":{number % 10}}}' for number in numbers],
                dimensions=vectors.shape[1],
                checked=True,
            ),
        )
    return backend, spec


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
