"""Searches of the NumPy backend by signs first, beside those of the same backend without.

Run with ``python -m benchmarks.numpy_quantization``. The vectors are WordLlama's, of passages
of real text: those of the demo, if `nox -s demo` made it, and what `passages` finds. They have
256 components; those of 384 are each passage's, beside the first 128 of the passage after it.
"""

from __future__ import annotations

import gc
import os
import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.demo_site import DATABASE
from benchmarks.measure import Row, isolated, paired, print_table, size, verdict
from benchmarks.numpy_backend import _named
from benchmarks.passages import passages
from benchmarks.questions import OTHER_WORDS, SAME_WORDS

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNTS = (60_000,) if QUICK else (100_000, 1_000_000)
SEARCHES = 15 if QUICK else 51
#: Beside the questions about the demo: the first words of passages that are not searched.
QUERIES = 20 if QUICK else 156
QUERY_WORDS = 12
RECALL = 0.99
#: At the largest size, of the plain search's time.
LARGEST, AT_MOST = 1_000_000, 0.25


def run() -> dict[str, list[Row]]:
    """One table for each size. Each measurement has a process of its own."""
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        found = isolated(embed, folder, COUNTS[-1])
        print(f"\nEmbedded {found['demo']:,} passages of the demo, {found['others']:,} others.")
        for count in COUNTS:
            for dimensions in (256, 384):
                rows = []
                for threads in sorted({1, os.cpu_count() or 1}):
                    rows += isolated(rows_of, folder, count, dimensions, threads, threads=threads)
                tables[f"Quantised NumPy backend: {count:,} × {dimensions}"] = rows
    return tables


def embed(folder: str, count: int) -> dict[str, int]:
    """Write the vectors of ``count`` passages, and of the queries."""
    import numpy as np

    from wagtail_vector_index.embeddings.wordllama import WordLlamaEmbeddings

    model = WordLlamaEmbeddings("benchmark", WordLlamaEmbeddings.Options())
    demo = _of_the_demo()
    texts = list(passages(count - len(demo) + QUERIES))
    random.Random(0).shuffle(texts)
    asked = [*SAME_WORDS, *OTHER_WORDS]
    asked += [" ".join(text.split()[:QUERY_WORDS]) for text in texts[-QUERIES:]]
    np.save(Path(folder, "queries.npy"), np.reshape(model.embed(asked), (len(asked), -1)))
    found = len(demo) + len(texts) - QUERIES
    if found < count:
        raise SystemExit(f"There are {found:,} passages on this machine, not {count:,}.")
    vectors = np.empty((count, model.dimensions), np.float32)
    vectors[: len(demo)] = demo
    for start in range(len(demo), count, 1_000):
        part = vectors[start : start + 1_000]
        first = start - len(demo)
        part[:] = np.reshape(model.embed(texts[first : first + len(part)]), part.shape)
    np.random.default_rng(0).shuffle(vectors[: COUNTS[0]])  # the demo's among the first others
    np.save(Path(folder, "vectors.npy"), vectors)
    return {"demo": len(demo), "others": count - len(demo)}


def rows_of(folder: str, count: int, dimensions: int, threads: int) -> list[Row]:
    """Time, recall and memory at one size."""
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
    """The vectors in a file, with components of the ones after them where they are too short."""
    import numpy as np

    vectors = np.array(np.load(path, mmap_mode="r")[:count])
    if dimensions <= vectors.shape[1]:
        return vectors
    after = np.roll(vectors[:, : dimensions - vectors.shape[1]], -1, axis=0)
    return np.concatenate([vectors, after], axis=1)


def _filled(quantization: Any, vectors: Any) -> tuple[Any, Any]:
    """A backend with these vectors under the ids 0, 1, 2…"""
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
