"""Measures what several processes of a machine take for one index in the NumPy backend.

Compares processes that share the index by a file with processes that each load it. Run with
``python -m benchmarks.workers``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import ROOT, Paired, Row, isolated, print_table, seconds, size, verdict
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = 5_000 if QUICK else 100_000
WORKERS = (1, 4, 8)
STARTS = 2 if QUICK else 5
SEARCHES = 11 if QUICK else 51
DIMENSIONS = 384


def run() -> dict[str, list[Row]]:
    """Return all tables, by title."""
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "site.sqlite3"))
        isolated(processes.make, database, "objects", COUNT)
        isolated(processes.index, database, "objects", COUNT)
        return {
            f"Memory of workers, {COUNT:,} × {DIMENSIONS}": memory_rows(database, folder),
            "The first search of a new process": first_rows(database, folder),
            "Searches in a process that shares the index": search_rows(database, folder),
        }


def memory_rows(database: str, folder: str) -> list[Row]:
    """Measure the memory that workers add, with and without a file.

    First by a search each, then by a search within some objects, after one object was changed.
    """
    isolated(first, database, folder, "")  # writes the file before it ends
    shared = {workers: added(database, folder, workers) for workers in WORKERS}
    own = {workers: added(database, None, workers) for workers in WORKERS}
    one, *_, most = WORKERS
    rows = []
    for turn, when in enumerate(("", ", after a change and a filter")):
        rows += [
            Row(
                what=f"{workers} workers share the index{when}",
                ours=size(shared[workers][turn]),
                other=f"each has its own: {size(own[workers][turn])}",
                ratio=shared[workers][turn] / own[workers][turn],
            )
            for workers in WORKERS
        ]
        rows.append(
            Row(
                what=f"{most} workers share the index{when}",
                ours=size(shared[most][turn]),
                other=f"{one} worker: {size(shared[one][turn])}",
                ratio=shared[most][turn] / shared[one][turn],
                at_most=1.5,
            )
        )
    return rows


def added(database: str, folder: str | None, workers: int) -> list[int]:
    """Return the memory that some workers take together after each search, less that before."""
    started = [start(worker, database, folder) for worker in range(workers)]
    try:
        before = sum(answer(process) for process in started)
        taken = []
        for turn in ("search", "within"):
            if turn == "within":
                isolated(processes.change, database, "objects")
            together(started, turn)
            taken.append(sum(together(started, "measure")) - before)
        return taken
    finally:
        for process in started:
            process.kill()
            process.wait()


def together(started: list[subprocess.Popen[str]], what: str) -> list[int]:
    """Ask workers to do something at once, and return their answers."""
    for process in started:
        ask(process, what)
    return [answer(process) for process in started]


def start(worker: int, database: str, folder: str | None) -> subprocess.Popen[str]:
    """Start a worker, which tells its memory, then searches when it is asked to."""
    code = f"from benchmarks.workers import work; work({database!r}, {folder!r})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str], what: str) -> None:
    assert process.stdin
    process.stdin.write(f"{what}\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def work(database: str, folder: str | None) -> None:
    """Be a worker: print the process's share of memory, do what is asked, and print it again."""
    set_up(database, folder)
    index = processes.vector_index("objects")
    from benchmarks.website.content import MODELS, text

    text(0)
    print(proportional(), flush=True)
    for line in sys.stdin:
        if line == "search\n":
            assert len(index.search(text(0), limit=10)) == 10
        elif line == "within\n":
            some = MODELS["objects"].objects.order_by("pk")[:100]
            assert len(index.search(text(0), limit=10, within=some)) == 10
        print(proportional(), flush=True)


def set_up(database: str, folder: str | None) -> None:
    os.environ["BENCHMARK_VECTOR_OPTIONS"] = (
        f'{{"SNAPSHOT_FOLDER": "{folder}"}}' if folder else '{"SNAPSHOT_FOLDER": null}'
    )
    processes.start(database)
    import numpy as np

    from wagtail_vector_index.backends.numpy import NumpyBackend  # noqa: F401  # not measured

    # The threads of the numerical library have memory of their own.
    ones = np.ones((2_000, 2_000), np.float32)
    ones @ ones


def proportional() -> int:
    """Return this process's memory; of pages that others map too, a share of each."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return 1024 * int(line.split()[1])
    raise AssertionError("the system does not tell the shares of memory")


def first_rows(database: str, folder: str) -> list[Row]:
    """Measure the first search of a new process, from its query to objects."""
    rows = []
    for what, model in (("first search", ""), ("first search with a filter", "passage")):
        isolated(first, database, folder, model)  # writes the file
        shared, own = [], []
        for _ in range(STARTS):
            shared.append(isolated(first, database, folder, model))
            own.append(isolated(first, database, None, model))
        ours = [each[0] for each in shared]
        rows += [
            Paired(ours=ours, other=[each[0] for each in own]).row(
                f"{what}, {COUNT:,} × {DIMENSIONS}, the processor's time",
                "without a file",
                at_most=0.3,
            ),
            Paired(ours=ours, other=[each[1] for each in shared]).row(
                f"{what}, with a file, the processor's time", "a later one"
            ),
        ]
    return rows


def first(database: str, folder: str | None, model: str) -> tuple[float, float]:
    """Return the processor's seconds of the first and of the eleventh search."""
    set_up(database, folder)
    from django.db.models import Q

    from benchmarks.website.content import text

    options = {"filter": Q(model=f"website.{model}")} if model else {}
    index = processes.vector_index("objects")
    taken = []
    for number in range(11):
        query = text(number)
        started = time.process_time()
        assert len(index.search(query, limit=10, **options)) == 10
        taken.append(time.process_time() - started)
    return taken[0], taken[-1]


def search_rows(database: str, folder: str) -> list[Row]:
    """Measure later searches of the vector backend, in processor's time, in turn."""
    shared, own = [], []
    for _ in range(3):
        shared += isolated(later, database, folder)
        own += isolated(later, database, None)
    return [
        Row(
            what="a search of the vector backend, the processor's time",
            ours=seconds(shared),
            other=f"without a file: {seconds(own)}",
            ratio=statistics.median(shared) / statistics.median(own),
            at_most=1.1,
        )
    ]


def later(database: str, folder: str | None) -> list[float]:
    """Return the processor's seconds of searches of the vector backend."""
    set_up(database, folder)
    from benchmarks.website.content import text
    from wagtail_vector_index.handlers import vector_backends

    index = processes.vector_index("objects")
    backend = processes.Timed(vector_backends["default"])
    taken = []
    for number in range(SEARCHES + 5):
        backend.seconds = 0.0
        assert len(index.search(text(number), limit=10)) == 10
        taken.append(backend.seconds)
    return taken[5:]


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
