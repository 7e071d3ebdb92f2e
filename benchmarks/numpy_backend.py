"""Compares the NumPy backend with raw NumPy, FAISS and two other projects' in-memory stores.

Run with ``python -m benchmarks.numpy_backend``.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from benchmarks.measure import (
    Paired,
    Row,
    isolated,
    paired,
    peak_resident,
    print_table,
    resident,
    size,
    verdict,
)

DIMENSIONS = 384
QUERIES = 64
LIMIT = 10
FIELDS = {"object": "str", "part": "int", "section": "int", "locale": "str"}


def run() -> dict[str, list[Row]]:
    """Return all tables, by title. Each measurement has a process of its own."""
    cores = os.cpu_count() or 1
    all_threads = sorted({1, cores})
    searches, faiss = [], []
    for threads in all_threads:
        searches += isolated(search_rows, 100_000, threads, threads=threads)
        faiss += isolated(faiss_rows, 100_000, threads, threads=threads)
    return {
        "NumPy backend: search": searches,
        "NumPy backend: search while others use all cores": isolated(busy_rows, 10_000),
        "NumPy backend: memory": isolated(memory_rows, 100_000),
        "NumPy backend: update": isolated(update_rows, 10_000, 100_000),
        "NumPy backend beside FAISS IndexFlatIP": faiss,
        "NumPy backend beside other in-memory stores": isolated(peer_rows, 10_000),
    }


def search_rows(count: int, threads: int) -> list[Row]:
    """Measure searches through the backend's API, beside the least code in NumPy."""
    import numpy as np
    from django.db.models import Q

    matrix, queries = _vectors(count)
    backend, spec = _filled(matrix)

    def search(turn: int) -> object:
        return backend.search(spec, queries[turn % QUERIES], limit=LIMIT)

    def raw(turn: int) -> object:
        return np.argpartition(matrix @ queries[turn % QUERIES], count - LIMIT)[-LIMIT:]

    def filtered(turn: int) -> object:
        return backend.search(spec, queries[turn % QUERIES], limit=LIMIT, filter=Q(part=3))

    def filtered_section(turn: int) -> object:
        return backend.search(spec, queries[turn % QUERIES], limit=LIMIT, filter=Q(section=3))

    def many_filters(turn: int) -> object:
        wanted = Q(part__in=[1, 2, 3, 4, 5]) & ~Q(section=2) & Q(locale="en")
        return backend.search(spec, queries[turn % QUERIES], limit=LIMIT, filter=wanted)

    shape = f"{count:,} × {DIMENSIONS}, {_named(threads)}"
    no_filter = "the same without a filter"
    return [
        paired(search, raw).row(f"search, {shape}", "`matrix @ query`, argpartition", at_most=1.3),
        paired(filtered, search).row(f"filter keeps 10%, {shape}", no_filter, at_most=1.0),
        paired(filtered_section, search).row(
            f"filter keeps 10% in one stretch, {shape}", no_filter, at_most=1.0
        ),
        paired(many_filters, search).row(f"three conditions keep 23%, {shape}", no_filter),
    ]


def busy_rows(count: int) -> list[Row]:
    """Measure occasional searches on a machine that is busy, as a web server is."""
    import numpy as np

    matrix, queries = _vectors(count)
    backend, spec = _filled(matrix)
    ours, raw = [], []
    endless = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(endless) for _ in range(os.cpu_count() or 1)]
    try:
        for query in [*queries, *queries, *queries]:
            time.sleep(0.005)
            started = time.perf_counter()
            backend.search(spec, query, limit=LIMIT)
            ours.append(time.perf_counter() - started)
            time.sleep(0.005)
            started = time.perf_counter()
            np.argpartition(matrix @ query, count - LIMIT)[-LIMIT:]
            raw.append(time.perf_counter() - started)
    finally:
        for other in others:
            other.kill()
            other.wait()
    what = f"search, {count:,} × {DIMENSIONS}"
    return [Paired(ours=ours, other=raw).row(what, "`matrix @ query`, argpartition")]


def memory_rows(count: int) -> list[Row]:
    """Measure the memory of a collection that is loaded batch by batch, as core loads it."""
    import numpy as np

    from wagtail_vector_index.backends.base import RecordBatch

    random = np.random.default_rng(0)
    backend, spec = _filled(_vectors(100)[0])  # everything is imported and warm
    backend.drop(spec)
    backend.create(spec)
    gc.collect()
    before, step = resident(), 1_000
    for start in range(0, count, step):
        stop = min(start + step, count)
        backend.upsert(
            spec,
            RecordBatch(
                ids=random.bytes(16 * (stop - start)),
                vectors=random.random((stop - start, DIMENSIONS), np.float32).tobytes(),
                metadata=_metadata(range(start, stop)),
                dimensions=DIMENSIONS,
                checked=True,
            ),
        )
    after, most = resident() - before, peak_resident() - before
    assert backend.count(spec) == count
    raw = 4 * DIMENSIONS * count
    note = "ids, their index and metadata included"
    rows = [(after, "resident after the load", 1.25), (most, "peak while loading", 1.6)]
    return [
        Row(
            what=f"{what}, {count:,} × {DIMENSIONS}",
            ours=size(measured),
            other=f"raw matrix: {size(raw)}",
            ratio=measured / raw,
            at_most=at_most,
            note=note,
        )
        for measured, what, at_most in rows
    ]


def update_rows(small: int, big: int) -> list[Row]:
    """Measure an update of ten records in collections of two sizes, with filter columns in use."""
    import numpy as np
    from django.db.models import Q

    from wagtail_vector_index.backends.base import RecordBatch

    filled = {count: _filled(_vectors(count)[0]) for count in (small, big)}
    for backend, spec in filled.values():
        backend.search(spec, np.ones(DIMENSIONS), filter=Q(part=1) & Q(object="blog.page:1"))
    vectors = _vectors(10)[0].tobytes()
    metadata = _metadata(range(10))

    def update(count: int, turn: int) -> None:
        backend, spec = filled[count]
        # Ten existing records are replaced, and ten new records are added and deleted again.
        for first in (17 * turn % small, 2**64 + 10 * turn):
            ids = [UUID(int=first + number) for number in range(10)]
            batch = RecordBatch(
                ids=b"".join(id.bytes for id in ids),
                vectors=vectors,
                metadata=metadata,
                dimensions=DIMENSIONS,
            )
            backend.upsert(spec, batch)
        backend.delete(spec, ids)

    row = paired(lambda turn: update(big, turn), lambda turn: update(small, turn), repeats=201).row(
        f"replace, add and delete 10 of {big:,}", f"of {small:,}", at_most=1.5
    )
    return [row]


def faiss_rows(count: int, threads: int) -> list[Row]:
    """Measure a single query beside FAISS' exact index."""
    import faiss
    import numpy as np

    matrix, queries = _vectors(count)
    backend, spec = _filled(matrix)
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(matrix)
    faiss.omp_set_num_threads(threads)

    def search(turn: int) -> Any:
        return backend.search(spec, queries[turn % QUERIES], limit=LIMIT)

    def search_faiss(turn: int) -> Any:
        return index.search(queries[turn % QUERIES][None], LIMIT)

    for turn in range(5):
        ours = [match.id.int for match in search(turn)]
        assert ours == np.ravel(search_faiss(turn)[1]).tolist(), "FAISS finds others"
    # With one thread, both read the same memory at the same speed, so there is no goal.
    at_most = 1.0 if threads > 1 else None
    what = f"search, {count:,} × {DIMENSIONS}, {_named(threads)}"
    return [paired(search, search_faiss).row(what, "IndexFlatIP", at_most=at_most)]


def peer_rows(count: int) -> list[Row]:
    """Measure a search with a filter beside the in-memory stores of other projects.

    As in real content, the vectors differ in length, and one in ten has duplicates. A search is
    right if it finds the same records in the same order as a search in double precision, with
    equal scores ordered by id.
    """
    import numpy as np
    from django.db.models import Q

    matrix, queries = _vectors(count)
    random = np.random.default_rng(1)
    matrix *= random.lognormal(size=(count, 1)).astype(np.float32)
    matrix[::10] = np.repeat(matrix[::200], 20, axis=0)[: len(matrix[::10])]
    order = random.permutation(count)
    matrix = matrix[order]
    queries = queries + matrix[np.flatnonzero(order % 10 == 0)[:QUERIES]]
    kept = np.arange(count) % 10 == 3
    backend, spec = _filled(matrix)

    def search(turn: int) -> list[int]:
        query = queries[turn % QUERIES]
        return [m.id.int for m in backend.search(spec, query, limit=LIMIT, filter=Q(part=3))]

    truth = [_brute_force(matrix, kept, query) for query in queries]
    rows = []
    for name, make, wanted in (
        ("langchain-core InMemoryVectorStore", _langchain, 0.05),
        ("django-ai-core InMemoryProvider", _django_ai_core, 0.05),
    ):
        theirs = make(matrix, queries)
        wrong = [turn for turn in range(QUERIES) if theirs(turn) != truth[turn]]
        assert [search(turn) for turn in range(QUERIES)] == truth
        note = f"ours right in {QUERIES} of {QUERIES}, theirs in {QUERIES - len(wrong)}"
        if wrong:
            note += f"; e.g. {_difference(theirs(wrong[0]), truth[wrong[0]], kept)}"
        note += f"; {_with_nan(make)}"
        rows.append(
            paired(search, theirs, repeats=15, warm_up=2).row(
                f"filter keeps 10%, {count:,} × {DIMENSIONS}", name, at_most=wanted, note=note
            )
        )
    return rows


def _named(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def _langchain(matrix: Any, queries: Any) -> Any:
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore

    class Given(DeterministicFakeEmbedding):
        """Returns vectors that exist already."""

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [matrix[int(text)].tolist() for text in texts]

    store = InMemoryVectorStore(Given(size=DIMENSIONS))
    store.add_texts(
        [str(row) for row in range(len(matrix))],
        metadatas=[{"part": row % 10} for row in range(len(matrix))],
        ids=[str(row) for row in range(len(matrix))],
    )
    asked = [query.tolist() for query in queries]

    def search(turn: int) -> list[int]:
        found = store.similarity_search_with_score_by_vector(
            asked[turn % QUERIES], LIMIT, filter=lambda document: document.metadata["part"] == 3
        )
        return [int(document.id) for document, _ in found]

    return search


def _django_ai_core(matrix: Any, queries: Any) -> Any:
    from django.conf import settings

    if not settings.configured:
        settings.configure(USE_TZ=True)
    from django_ai_core.contrib.index.schema import EmbeddedDocument
    from django_ai_core.contrib.index.storage.inmemory import InMemoryProvider

    provider = InMemoryProvider(index_name="benchmark")
    provider.add(
        [
            EmbeddedDocument(
                document_key=str(row), content="", metadata={"part": row % 10}, vector=vector
            )
            for row, vector in enumerate(matrix.tolist())
        ]
    )
    asked = [query.tolist() for query in queries]

    def search(turn: int) -> list[int]:
        found = provider.objects.filter(embedding=asked[turn % QUERIES], part=3)[:LIMIT]
        return [int(document.document_key) for document in found]

    return search


def _brute_force(matrix: Any, kept: Any, query: Any) -> list[int]:
    import numpy as np

    rows = np.flatnonzero(kept)
    exact, query = matrix[rows].astype(float), query.astype(float)
    scores = exact @ query / np.linalg.norm(exact, axis=1) / np.linalg.norm(query)
    best = np.lexsort((rows, -scores.round(6)))[:LIMIT]
    return rows[best].tolist()


def _difference(found: Sequence[int], truth: Sequence[int], kept: Any) -> str:
    strangers = sum(not kept[row] for row in found)
    missing = len(set(truth) - set(found))
    if strangers or missing:
        return f"{strangers} of {len(found)} do not match the filter, {missing} of {LIMIT} missing"
    return "the right ones in another order"


def _with_nan(make: Any) -> str:
    """Return how ours and another store treat a NaN vector among vectors far from the query."""
    import numpy as np

    from wagtail_vector_index.exceptions import InvalidVector

    away = -np.ones((3, DIMENSIONS), np.float32)
    away[1, 0] = np.nan
    try:
        _filled(away)
    except InvalidVector:
        refused = "a NaN vector is refused by ours"
    # Records 3, 13 and 23 match the filter.
    rows = np.repeat(away, 10, axis=0)
    with warnings.catch_warnings(action="ignore"):
        found = make(rows, -away[:1])(0)
    kept = [row for row in found if row % 10 == 3]
    return f"{refused}, and by theirs {'found first' if kept[:1] == [13] else 'stored'}"


def _vectors(count: int) -> tuple[Any, Any]:
    """Return a matrix of unit vectors, and queries."""
    import numpy as np

    random = np.random.default_rng(0)
    vectors = random.standard_normal((count + QUERIES, DIMENSIONS), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[:count].copy(), vectors[count:].copy()


def _metadata(rows: range) -> list[str]:
    """Return metadata as core writes it, with about 120 characters each."""
    return [
        f'{{"object":"blog.page:{row // 4}","model":"blog.page","part":{row % 10},'
        f'"section":{row // 1000 % 10},"locale":"{"en" if row % 2 else "de"}",'
        f'"title":"A page about things, number {row}"}}'
        for row in rows
    ]


def _filled(matrix: Any) -> tuple[Any, Any]:
    """Return a backend with these vectors under the ids 0, 1, 2…"""
    from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
    from wagtail_vector_index.backends.numpy import NumpyBackend

    backend = NumpyBackend("default", NumpyBackend.Options())
    spec = CollectionSpec(name="benchmark", dimensions=DIMENSIONS, fields=FIELDS)
    backend.create(spec)
    backend.upsert(
        spec,
        RecordBatch(
            ids=b"".join(row.to_bytes(16, "big") for row in range(len(matrix))),
            vectors=matrix.tobytes(),
            metadata=_metadata(range(len(matrix))),
            dimensions=DIMENSIONS,
            checked=True,
        ),
    )
    return backend, spec


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
