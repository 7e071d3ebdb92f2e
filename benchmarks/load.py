"""Measures searches of the demo's site by many visitors at once, while editors publish.

Compares the index with Wagtail's own search in the database, on the same pages. Run with
``python -m benchmarks.load``.
"""

from __future__ import annotations

import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil

from benchmarks import demo_site
from benchmarks.measure import ROOT, Row, number, print_table, size, verdict
from benchmarks.questions import OTHER_WORDS, SAME_WORDS

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
WORKERS = 4
VISITORS = 4 if QUICK else 20
#: The seconds of each turn, and the turns of each kind of search.
SECONDS, TURNS = (2, 1) if QUICK else (20, 3)
#: The seconds between two pages that the editors publish.
EDIT_EVERY = 1.0

QUESTIONS = [*SAME_WORDS, *OTHER_WORDS]
KINDS = {"ours": "/search/?q=", "wagtail": "/wagtail/?q="}


def run() -> list[Row]:
    """Return the table."""
    demo_site.make()
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    edits: list[float] = []
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (server, port):
        for path in KINDS.values():
            visit(port, path, SECONDS / 4, VISITORS)  # every worker has searched before
        for turn in range(TURNS):
            for kind in KINDS if turn % 2 else reversed(KINDS):
                with edited(port, edits):
                    taken[kind] += visit(port, KINDS[kind], SECONDS, VISITORS)
        memory = [each.memory_full_info() for each in server.children()]
        together = sum(each.pss for each in memory)
        resident = sum(each.rss for each in memory)
    ours, wagtail = taken["ours"], taken["wagtail"]
    return [
        Row(
            what=f"pages of results a second, {VISITORS} visitors, {WORKERS} workers",
            ours=number(len(ours) / (TURNS * SECONDS)),
            other=f"Wagtail's search: {number(len(wagtail) / (TURNS * SECONDS))}",
            ratio=len(ours) / len(wagtail),
        ),
        *(
            Row(
                what=f"time of a page, {name}",
                ours=f"{1000 * percentile(ours, share):.0f} ms",
                other=f"Wagtail's search: {1000 * percentile(wagtail, share):.0f} ms",
                ratio=percentile(ours, share) / percentile(wagtail, share),
            )
            for name, share in (("median", 0.5), ("99th percentile", 0.99))
        ),
        Row(
            what="publishing a page meanwhile",
            ours=f"{1000 * statistics.median(edits):.0f} ms",
            other=f"of {len(edits)} the longest: {1000 * max(edits):.0f} ms",
            ratio=statistics.median(edits) / max(edits),
        ),
        Row(
            what=f"memory of the {WORKERS} workers, shared pages counted once",
            ours=size(together),
            other=f"counted in each: {size(resident)}",
            ratio=together / resident,
        ),
    ]


@contextmanager
def served(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Serve a copy of the demo's site; yield the server's process and its port."""
    database = folder / "demo.sqlite3"
    demo_site.copy(database)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [
        sys.executable, "-m", "gunicorn", "benchmarks.demo_server:application",
        "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--log-level", "warning",
    ]  # fmt: skip
    environment = os.environ | {"BENCHMARK_DATABASE": str(database), "TMPDIR": str(folder)}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as server:
        try:
            wait_for(port)
            yield psutil.Process(server.pid), port
        finally:
            server.terminate()


def wait_for(port: int) -> None:
    """Wait until the server answers."""
    while True:
        try:
            get(port, "/search/")
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return


def get(port: int, path: str) -> float:
    """Get a page, and return the seconds that it took."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, f"{path}: {response.status} {text[:500]!r}"
    finally:
        connection.close()
    return time.perf_counter() - started


def visit(port: int, path: str, seconds: float, visitors: int) -> list[float]:
    """Let visitors search, one question after the other; return the times of all pages."""
    taken: list[float] = []
    failures: list[BaseException] = []
    end = time.monotonic() + seconds

    def search(visitor: int) -> None:
        try:
            turn = visitor
            while time.monotonic() < end:
                taken.append(get(port, path + quote(QUESTIONS[turn % len(QUESTIONS)])))
                turn += 1
        except BaseException as error:  # noqa: BLE001  # raised in the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=search, args=[visitor]) for visitor in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return taken


@contextmanager
def edited(port: int, taken: list[float]) -> Iterator[None]:
    """Let editors publish pages meanwhile, and note how long each took."""
    is_over = threading.Event()

    def edit() -> None:
        while not is_over.wait(EDIT_EVERY):
            taken.append(get(port, f"/publish/{len(taken)}/"))

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of all values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    raise SystemExit(verdict([print_table("The demo's site under load", run())]))
