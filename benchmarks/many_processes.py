"""Measures several processes that build one index with a service that answers after 50 ms.

Run with ``python -m benchmarks.many_processes``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.measure import ROOT, Row, isolated, number, print_table, seconds, verdict
from benchmarks.pgvector_backend import django_url, server
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = 2_000 if QUICK else 20_000
REPEATS = 1 if QUICK else 2
PROCESSES = 4
LATENCY = 0.05
#: The most texts of a request, as many self-hosted services set it.
BATCH_SIZE = 32


def run() -> Iterator[tuple[str, list[Row]]]:
    """Yield the table of each database, with its title."""
    what = f"{LATENCY * 1e3:.0f} ms for each {BATCH_SIZE} texts"
    with service() as address:
        for title, site in (("SQLite", sqlite), ("PostgreSQL", postgresql)):
            with site() as copied:
                yield f"A build of {COUNT:,} objects on {title}, {what}", measured(address, copied)


@contextmanager
def sqlite() -> Iterator[Callable[[str], str]]:
    """Make a site, and yield a function that copies its database under a name."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site.sqlite3")
        isolated(processes.make, str(site), "objects", COUNT)
        yield lambda name: str(shutil.copy(site, Path(folder, f"{name}.sqlite3")))


@contextmanager
def postgresql() -> Iterator[Callable[[str], str]]:
    """Make a site, and yield a function that copies its database under a name."""
    import psycopg

    with server() as info, psycopg.connect(info, dbname="postgres", autocommit=True) as connection:
        isolated(processes.make, django_url(info), "objects", COUNT)
        site = psycopg.conninfo.conninfo_to_dict(info)["dbname"]

        def copied(name: str) -> str:
            copy = f"{site}_{name}"
            connection.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{site}"')
            return django_url(psycopg.conninfo.make_conninfo(info, dbname=copy))

        yield copied


def measured(address: str, copied: Callable[[str], str]) -> list[Row]:
    """Return the rows of one database."""
    ways = {"alone": (1, 1), "together": (PROCESSES, 1), "at_once": (1, 4)}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(REPEATS):
        for way, (processes_, concurrency) in ways.items():
            taken[way].append(built(copied(f"{way}_{turn}"), address, processes_, concurrency))
    least = COUNT / BATCH_SIZE * LATENCY
    return [
        row(f"{PROCESSES} processes", taken["together"], taken["alone"], at_most=1 / 3.5),
        row("1 process, 4 requests at once", taken["at_once"], taken["alone"]),
        Row(
            what="1 process, one request after the other",
            ours=seconds(taken["alone"]),
            other=f"the waits for the service: {seconds([least])}",
            ratio=statistics.median(taken["alone"]) / least,
        ),
    ]


def row(what: str, ours: list[float], alone: list[float], at_most: float | None = None) -> Row:
    """Return the row of a way to build, beside one process and one request after the other."""
    ratios = [one / other for one, other in zip(ours, alone, strict=True)]
    speed = number(COUNT / statistics.median(ours))
    return Row(
        what=what,
        ours=seconds(ours),
        other=f"1 process, one request after the other: {seconds(alone)}",
        ratio=statistics.median(ratios),
        at_most=at_most,
        note=f"{number(1 / statistics.median(ratios))} times as fast, {speed} objects a second;"
        " no text embedded twice",
    )


def built(database: str, address: str, number_of_processes: int, concurrency: int) -> float:
    """Return the seconds in which some processes build the index together."""
    environment = {
        **os.environ,
        "BENCHMARK_DATABASE": database,
        "BENCHMARK_SERVICE": address,
        "BENCHMARK_SERVICE_BATCH_SIZE": str(BATCH_SIZE),
        "BENCHMARK_SERVICE_CONCURRENCY": str(concurrency),
    }
    command = [sys.executable, "-m", "benchmarks.measure", __spec__.name, "build", "[]"]
    running = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number_of_processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    counts_of(address)  # forgets the texts of before
    started = time.perf_counter()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    results = []
    for process in running:
        assert process.stdout is not None
        results.append(json.loads(process.stdout.readline()))
    # Neither the start nor the end of Python is measured.
    taken = time.perf_counter() - started
    for process in running:
        process.communicate()
    assert sum(results) == COUNT, results
    assert counts_of(address) == {"texts": COUNT, "different": COUNT}
    return taken


def counts_of(address: str) -> Any:
    """Return how many texts the service has embedded since the last call, and how many differ."""
    return json.load(urlopen(f"{address}/texts"))  # our own service


def build() -> int:
    """Take a share of the build, once the other processes are ready too."""
    processes.start(os.environ["BENCHMARK_DATABASE"])
    from wagtail_vector_index.handlers import embedding_backends
    from wagtail_vector_index.indexing.updating import update

    # The first request imports the client, which is not measured.
    embedding_backends["default"].embed_query("warm up")
    print("ready", flush=True)
    sys.stdin.readline()
    return update(processes.vector_index("objects")).drained.upserted


@contextmanager
def service() -> Iterator[str]:
    """Run the service, and yield its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.website.service:application"]
    options = ["--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "SERVICE_LATENCY": str(LATENCY)}
    with subprocess.Popen([*command, *options], cwd=ROOT, env=environment) as server:
        try:
            while not answers(port):
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def answers(port: int) -> bool:
    """Return whether the service listens."""
    with socket.socket() as client:
        return not client.connect_ex(("127.0.0.1", port))


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run()]
    raise SystemExit(verdict(met))
