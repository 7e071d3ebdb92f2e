"""Measures an update that finds nothing to do, over pages that read many other objects.

Run with ``python -m benchmarks.unchanged``.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, isolated, number, print_table, seconds, verdict
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = 2_000 if QUICK else 20_000
REPEATS = 2 if QUICK else 3

#: The most queries for each 1,000 pages, and the fewest pages a second.
QUERIES = 30
PAGES = 2_000


def run() -> dict[str, list[Row]]:
    """Return all tables, by title."""
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "site.sqlite3"))
        isolated(processes.make, database, "stories", COUNT)
        isolated(processes.index, database, "stories", COUNT)
        runs = [isolated(unchanged, database) for _ in range(REPEATS)]
    queries = max(one["queries"] for one in runs) * 1_000 / COUNT
    taken = [one["seconds"] for one in runs]
    processor = [one["processor"] for one in runs]
    return {
        f"An unchanged run over {COUNT:,} pages": [
            Row(
                what="queries for each 1,000 pages",
                ours=number(queries),
                other=f"goal: {QUERIES}",
                ratio=queries / QUERIES,
                at_most=1,
            ),
            Row(
                what="seconds",
                ours=seconds(taken),
                other=f"{PAGES:,} pages a second: {number(COUNT / PAGES)} s",
                # Of the processor's time, since other work on the machine does not count there.
                ratio=statistics.median(processor) * PAGES / COUNT,
                at_most=None if QUICK else 1,
                note=f"{number(COUNT / statistics.median(processor))} pages a second of"
                " processor time, which the goal is for",
            ),
        ]
    }


def unchanged(database: str) -> dict[str, Any]:
    """Measure an update of an index that is up to date, with its queries."""
    processes.start(database)
    import numpy  # noqa: F401  # imported here, since the import is not measured
    from django.db import connection

    from wagtail_vector_index.indexing.updating import update

    queries = 0

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*arguments)

    index = processes.vector_index("stories")
    with connection.execute_wrapper(count):
        started = time.perf_counter(), time.process_time()
        updated = update(index)
        taken = time.perf_counter() - started[0], time.process_time() - started[1]
    assert updated.drained.objects == 0
    return {"queries": queries, "seconds": taken[0], "processor": taken[1]}


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
