"""Runs the named benchmarks, or all that take minutes, and fails if a benchmark misses a goal.

python -m benchmarks.run [--quick] [NAME …]

The output of each benchmark is kept in ``results/``, which the documentation shows. Quick runs,
and runs that fail before their end, change nothing there.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measure import GOAL_MISSED

ROOT = Path(__file__).parent.parent

#: Modules of this folder, each of which prints its tables.
BENCHMARKS = (
    "numpy_backend",
    "numpy_quantization",
    "pgvector_backend",
    "qdrant_backend",
    "weaviate_backend",
    "usearch_backend",
    "sqlitevec_backend",
    "end_to_end",
    "large_index",
    "workers",
    "unchanged",
    "many_processes",
    "demo_site",
    "restricted",
    "hybrid",
    "rankings",
    "embedding_models",
    "publishing",
    "load",
    "start_up",
)

#: Benchmarks that take hours, so that they only run if they are named.
LONG = ("recall", "million")

#: The variables that name folders of data which this repository does not contain. Without them, a
#: benchmark only runs, and fails, if it is named.
NEEDED = {
    "rankings": ("RANKING_COLLECTIONS",),
    "embedding_models": ("RANKING_COLLECTIONS", "MINILM_FOLDER"),
}

RESULTS = ROOT / "benchmarks" / "results"

VERSIONS = (
    "wagtail-vector-index", "Django", "wagtail", "numpy", "psycopg", "qdrant-client",
    "weaviate-client", "usearch", "sqlite-vec", "wordllama", "fastembed",
    "faiss-cpu", "langchain-core", "django-ai-core",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    named = (*BENCHMARKS, *LONG)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(named))
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats")
    options = parser.parse_args()
    if unknown := set(options.names) - set(named):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    print(f"## Benchmarks\n\n{setting()}", flush=True)
    started = time.monotonic()
    skipped = {name: lacks for name in BENCHMARKS if (lacks := unset(name)) and not options.names}
    chosen = [name for name in options.names or BENCHMARKS if name not in skipped]
    missed = [name for name in chosen if not goals_met(name, quick=options.quick)]
    for name, lacks in skipped.items():
        print(f"\nSkipped {name}: {' and '.join(lacks)} not set.")
    verdict = f"Missed or failed: {', '.join(missed)}." if missed else "All goals are met."
    if skipped:
        verdict += f" Skipped {len(skipped)} of {len(BENCHMARKS)} benchmarks."
    print(f"\n{verdict} This took {(time.monotonic() - started) / 60:.0f} minutes.")
    return bool(missed)


def unset(name: str) -> list[str]:
    """Return the variables that a benchmark needs, and that are not set."""
    return [variable for variable in NEEDED.get(name, ()) if not os.environ.get(variable)]


def goals_met(name: str, *, quick: bool) -> bool:
    """Run one benchmark in a process of its own, and return whether it met all its goals."""
    environment = os.environ | ({"BENCHMARK_QUICK": "1"} if quick else {})
    command = [sys.executable, "-u", "-m", f"benchmarks.{name}"]
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    tables = "".join(lines).strip()
    if not quick and process.returncode in (0, GOAL_MISSED):
        RESULTS.mkdir(exist_ok=True)
        measured = f"Measured on {datetime.now().astimezone():%Y-%m-%d}: {setting()}"
        (RESULTS / f"{name}.md").write_text(f"{tables}\n\n{measured}\n", encoding="utf-8")
    return process.returncode == 0


def setting() -> str:
    """Return the machine and the versions, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    versions = [f"Python {platform.python_version()}"]
    for name in VERSIONS:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    return f"{machine}, {memory:.0f} GiB of memory; {', '.join(versions)}."


if __name__ == "__main__":
    raise SystemExit(main())
