"""Measures the first load of an index of 100,000 documents into a process, and small updates.

Run with ``python -m benchmarks.large_index``.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.measure import Paired, Row, isolated, print_table, seconds, verdict
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
SMALL, LARGE = (1_000, 5_000) if QUICK else (10_000, 100_000)
LOADS = 3 if QUICK else 7
ROUNDS = 2 if QUICK else 6
UPDATES = 5 if QUICK else 15
CHANGED = 10
DIMENSIONS = 384

#: The factor by which two measurements of a cost that does not grow may differ.
NO_GROWTH = 1.5


def run() -> dict[str, list[Row]]:
    """Return all tables, by title."""
    with tempfile.TemporaryDirectory() as folder:
        databases = {count: str(Path(folder, f"{count}.sqlite3")) for count in (SMALL, LARGE)}
        for count, database in databases.items():
            isolated(processes.make, database, "objects", count)
            isolated(processes.index, database, "objects", count)
        return {
            "First load into a new process": first_load(databases[LARGE]),
            f"An update of {CHANGED} documents": updates(databases),
        }


def first_load(database: str) -> list[Row]:
    """Measure our load and the fastest way to read the same rows, in turn."""
    isolated(raw_load, database)  # puts the file into the system's cache
    ours, raw = [], []
    for _ in range(LOADS):
        ours.append(isolated(load, database))
        raw.append(isolated(raw_load, database))
    paired = Paired(ours=[one["seconds"] for one in ours], other=[one["seconds"] for one in raw])
    return [paired.row(f"{LARGE:,} × {DIMENSIONS}", "sqlite3 SELECT into one array", at_most=2.0)]


def load(database: str) -> dict[str, Any]:
    """Measure the first load, which the first search of a process does."""
    processes.start(database)
    import numpy  # noqa: F401  # imported before the timing, as in `raw_load`

    from wagtail_vector_index.handlers import vector_backends
    from wagtail_vector_index.indexing.catching_up import catch_up
    from wagtail_vector_index.search.collections import active_collection

    index = processes.vector_index("objects")
    started = time.perf_counter()
    collection = active_collection(index)
    backend = vector_backends[collection.vector_backend]
    catch_up(collection, backend)
    taken = time.perf_counter() - started
    assert backend.count(collection.spec) == LARGE
    return {"seconds": taken}


def raw_load(database: str) -> dict[str, Any]:
    """Measure reading the same rows with only sqlite3 and one array."""
    import numpy as np

    started = time.perf_counter()
    matrix = np.empty((LARGE, DIMENSIONS), np.float32)
    ids, metadata = [], []
    connection = sqlite3.connect(database)
    rows = connection.execute(
        "SELECT d.id, d.metadata, e.vector FROM wvi_document d"
        " JOIN wvi_embedding e ON e.id = d.embedding_id WHERE d.deleted_at IS NULL"
    )
    for row, (id, text, vector) in enumerate(rows):
        matrix[row] = np.frombuffer(vector, np.float32)
        ids.append(id)
        metadata.append(text)
    taken = time.perf_counter() - started
    assert len(ids) == len(set(ids)) == len(metadata) == LARGE
    return {"seconds": taken}


def updates(databases: dict[int, str]) -> list[Row]:
    """Measure the cost of ten changed objects in an index of either size."""
    rounds: dict[int, list[Any]] = {SMALL: [], LARGE: []}
    for turn in range(ROUNDS):
        for count in (SMALL, LARGE) if turn % 2 else (LARGE, SMALL):
            rounds[count].append(isolated(update, databases[count], count, turn))
    small, large = (_joined(rounds[count]) for count in (SMALL, LARGE))
    parts = {
        "drain": "draining: embedding and writing",
        "catching_up": "catching up, before the next search",
        "search": "that search, which finds one of them",
    }
    return [
        Row(
            what=f"{what}, of {LARGE:,}",
            ours=seconds(large[part]),
            other=f"of {SMALL:,}: {seconds(small[part])}",
            ratio=statistics.median(large[part]) / statistics.median(small[part]),
            # A search always reads all vectors, even if nothing changed.
            at_most=LARGE / SMALL if part == "search" else NO_GROWTH,
        )
        for part, what in parts.items()
    ]


def _joined(parts: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    return {name: [one for part in parts for one in part[name]] for name in parts[0]}


def update(database: str, count: int, start: int) -> dict[str, list[float]]:
    """Change ten objects, drain, catch up as the next search does, and search for one."""
    processes.start(database)
    from benchmarks.website.content import text
    from benchmarks.website.models import Passage
    from wagtail_vector_index.content.object_keys import key_of
    from wagtail_vector_index.handlers import vector_backends
    from wagtail_vector_index.indexing.catching_up import catch_up
    from wagtail_vector_index.indexing.draining import drain
    from wagtail_vector_index.indexing.outbox import queue
    from wagtail_vector_index.search.collections import active_collection

    index = processes.vector_index("objects")
    pks = list(Passage.objects.order_by("pk").values_list("pk", flat=True))
    list(index.search(text(0)))  # loads the index
    taken: dict[str, list[float]] = {"drain": [], "catching_up": [], "search": []}
    for turn in range(UPDATES + 2):
        chosen = [pks[(turn * CHANGED + one) * 37 % count] for one in range(CHANGED)]
        passages = list(Passage.objects.filter(pk__in=chosen))
        for passage in passages:
            passage.body = text(f"{start} {turn} {passage.pk}")
        Passage.objects.bulk_update(passages, ["body"])
        queue(index.name, [key_of(Passage, pk) for pk in chosen])
        clock = [time.perf_counter()]
        assert drain(index).upserted == CHANGED
        clock.append(time.perf_counter())
        collection = active_collection(index)
        catch_up(collection, vector_backends[collection.vector_backend])
        clock.append(time.perf_counter())
        assert index.search(passages[-1].body, limit=1)[0] == passages[-1]
        clock.append(time.perf_counter())
        if turn >= 2:
            for part, (before, after) in zip(taken, pairwise(clock), strict=True):
                taken[part].append(after - before)
    return taken


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
