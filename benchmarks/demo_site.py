"""Measures indexing the demo's site for the first time, and again without changes.

Run with ``python -m benchmarks.demo_site``.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, Paired, Row, isolated, print_table, seconds, verdict

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
TURNS = 2 if QUICK else 9

DEMO = ROOT / "demo"
#: The database of the demo's site, with real texts and their embeddings. Both `nox -s demo` and
#: the function `make` create it.
DATABASE = DEMO / ".data" / "demo.sqlite3"


def run() -> list[Row]:
    """Return the table: the part of a first run outside the model, and a second run."""
    make()
    first, second = [], []
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "demo.sqlite3")
        for _ in range(TURNS):
            copy_without_index(database)
            first.append(isolated(index, str(database)))
            second.append(isolated(index, str(database)))
    total = [one["seconds"] for one in first]
    outside = Paired(ours=[one["seconds"] - one["model"] for one in first], other=total)
    again = Paired(ours=[one["seconds"] for one in second], other=total)
    calls, texts = sum(one["calls"] for one in second), first[0]["texts"]
    return [
        outside.row(
            "outside the embedding model",
            "the whole of the first run",
            at_most=1 / 3,
            note=f"{texts:,} chunks; {texts / statistics.median(total):,.0f} a second",
        ),
        Row(
            what="in the model's tokenizer, which counts tokens for the splitter",
            ours=seconds([one["tokenizer"] for one in first]),
            other="the whole of the first run",
            ratio=statistics.median(one["tokenizer"] for one in first) / statistics.median(total),
        ),
        again.row("a second run, nothing changed", "the first run", at_most=0.2),
        Row(
            what="calls of the embedding model in it",
            ours=str(calls),
            other=f"the first run: {first[0]['calls']}",
            ratio=calls / first[0]["calls"],
            at_most=0,
            note=f"a new process: {seconds([one['start'] for one in second])} before it begins",
        ),
    ]


def make() -> None:
    """Make the demo's site, or bring it up to date."""
    subprocess.run([sys.executable, "run.py"], cwd=DEMO, check=True, stdout=subprocess.DEVNULL)


def start(database: Path = DATABASE) -> None:
    """Set Django up for the demo's site, in this database."""
    sys.path.insert(0, str(DEMO))
    os.environ["DJANGO_SETTINGS_MODULE"] = "vectordemo.settings"
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()


def copy(database: Path) -> None:
    """Copy the demo's database."""
    database.unlink(missing_ok=True)
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("VACUUM INTO ?", [str(database)])


def copy_without_index(database: Path) -> None:
    """Copy the demo's database without the rows that indexing wrote."""
    copy(database)
    with closing(sqlite3.connect(database)) as connection:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'wvi_*'"
        for (table,) in connection.execute(tables).fetchall():
            connection.execute(f'DELETE FROM "{table}"')
        connection.commit()
        connection.execute("VACUUM")


def index(database: str) -> dict[str, Any]:
    """Bring the site's indexes up to date with the command, with the model already loaded."""
    begun = time.perf_counter()
    start(Path(database))
    from django.core.management import call_command

    from wagtail_vector_index.handlers import embedding_backends

    backend = embedding_backends["default"]
    backend.embed(["The model is loaded before it is timed."])
    texts: list[int] = []
    taken = {"embed": 0.0, "count_tokens": 0.0}

    def timed(name: str) -> Callable[[Any], Any]:
        method = getattr(backend, name)

        def call(given: Any) -> Any:
            started = time.perf_counter()
            answer = method(given)
            taken[name] += time.perf_counter() - started
            if name == "embed":
                texts.append(len(given))
            return answer

        return call

    for name in taken:
        setattr(backend, name, timed(name))
    # Otherwise, collecting the garbage of Django's start would cost some 0.07 s in one of the runs.
    gc.collect()
    started = time.perf_counter()
    call_command("update_vector_indexes", verbosity=0)
    return {
        "seconds": time.perf_counter() - started,
        "start": started - begun,
        "model": sum(taken.values()),
        "tokenizer": taken["count_tokens"],
        "texts": sum(texts),
        "calls": len(texts),
    }


if __name__ == "__main__":
    raise SystemExit(verdict([print_table("Indexing the demo's site", run())]))
